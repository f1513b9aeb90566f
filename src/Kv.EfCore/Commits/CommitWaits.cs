using Kv.Connections;
using Microsoft.EntityFrameworkCore;

namespace Kv.Commits;

/// <summary>How long a try of a group waits for locks, and the error of a write that waits for a transaction of its own process.</summary>
internal sealed class CommitWaits(SessionFactory sessions, Driver driver, KvStoreOptions options)
{
    /// <summary>Plans a try.</summary>
    /// <param name="writer">The writer that runs it.</param>
    /// <param name="left">What is left of the callers' time.</param>
    /// <param name="trouble">What the tries before have met; null for none.</param>
    /// <returns>How long the try may wait, and the wait at the server, where it is not the session's own.</returns>
    public (TimeSpan Longest, LockWait? Wait) Plan(CommitWriter writer, TimeSpan left, CommitTrouble? trouble)
    {
        // A transaction of this process may be the one that is waited for: it is looked at soon.
        var soon = left < OwnTransactions.LookAfter ? left : OwnTransactions.LookAfter;
        if (!writer.WaitsAtServer)
        {
            return (OwnTransactions.HasAny ? soon : left, null);
        }

        if (trouble is null && OwnTransactions.HasLocks)
        {
            return (left, new LockWait(sessions, driver, soon, looks: false));
        }

        return trouble is { IsLocked: true } || !LockWait.IsFirst(left, options.CommandTimeout)
            ? (left, new LockWait(sessions, driver, left, looks: trouble?.Holder is null))
            : (left, null);
    }

    /// <summary>
    /// Answers the callers that wait for a transaction of their own process: it may be their own, and then they would wait in vain.
    /// </summary>
    public void TellOfOwn(CommitGroup group, Exception error)
    {
        if (!OwnTransactions.HasAny || !driver.IsLockWait(error))
        {
            return;
        }

        // The session may be what waits to be opened.
        using var context = sessions.CreateContext();
        if (OwnTransactions.Find(driver, context.Database.GetDbConnection()) is { } own)
        {
            var told = DatabaseErrors.WaitsForOwn(own, error);
            group.RemoveOlderWrites(OwnTransactions.LongestWait).ForEach(work => work.Fail(told));
        }
    }
}
