using Kv.Commits;

namespace Kv.Store;

/// <summary>What callers are told of a write.</summary>
internal static class WriteResults
{
    public static KvCommitResult Of(AtomicWrite write, AtomicOutcome outcome) => outcome.Version > 0
        ? new KvCommitResult(KvVersionstamp.FromVersion(outcome.Version), MessageIds(write, outcome))
        : new KvCommitResult(FailedChecks(write, outcome));

    public static IReadOnlyList<string> MessageIds(AtomicWrite write, AtomicOutcome outcome) =>
        outcome.Kept ?? write.Messages.ConvertAll(static m => m.Id);

    public static IReadOnlyList<KvFailedCheck> FailedChecks(AtomicWrite write, AtomicOutcome outcome) =>
    [
        .. outcome.FailedChecks.Select(check => new KvFailedCheck(
            check.Index,
            write.Scope.Out(write.Checks[check.Index].Key),
            check.Present is { } version ? KvVersionstamp.FromVersion(version) : null)),
    ];
}
