using System.Data.Common;
using Kv.Commits;
using Kv.Store;
using Microsoft.EntityFrameworkCore;

namespace Kv.Joined;

/// <param name="Write">What a command of the save takes along.</param>
/// <param name="Extent">How far the pending writes had come.</param>
/// <param name="Removals">How often something had been taken out of them.</param>
/// <param name="Commit">What comes of it when the transaction is committed.</param>
internal sealed record AppendedPart(AppendedWrite Write, WriteExtent Extent, int Removals, KvJoinedCommit Commit)
{
    /// <summary>Has a command take what is pending along.</summary>
    /// <returns>What it takes; null where it cannot.</returns>
    public static async ValueTask<AppendedPart?> TryAppendAsync(
        ContextWrites writes,
        DbContext context,
        PendingWrites pending,
        JoinedWork work,
        DbCommand command,
        CancellationToken cancellationToken)
    {
        var appended = await writes.TryAppendAsync(work, context, command, cancellationToken).ConfigureAwait(false);
        return appended is null ? null
            : new(appended, pending.Extent, pending.Removals, UnitCommits.CommitOf(work.Write, appended.Outcome));
    }
}
