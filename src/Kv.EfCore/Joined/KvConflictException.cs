using Microsoft.EntityFrameworkCore;

namespace Kv;

/// <summary>
/// Checks of <c>db.Kv()</c> refused a commit of a context: another write came first. Neither the entities nor anything of the store was
/// written.
/// </summary>
/// <remarks>
/// What was collected stays collected, so the same save fails again until <see cref="KvUnitOfWork.Clear"/>, or with another context: read
/// again, and collect anew. It is no <c>DbUpdateConcurrencyException</c>, since there is no entity whose values could be reloaded.
/// </remarks>
public sealed class KvConflictException : DbUpdateException
{
    internal KvConflictException(IReadOnlyList<KvFailedCheck> failedChecks)
        : base(
            $"The commit was refused by {failedChecks.Count} check{(failedChecks.Count == 1 ? "" : "s")} of db.Kv(): another write "
            + $"came first at {string.Join(", ", failedChecks.Select(static c => c.Key))}. Nothing was written, neither entities nor "
                + "entries. "
            + "Read again and collect anew, after db.Kv().Clear() or with another context.") =>
        FailedChecks = failedChecks;

    /// <summary>All checks that failed, with what is there.</summary>
    public IReadOnlyList<KvFailedCheck> FailedChecks { get; }
}
