using Kv.Changes;
using Kv.Messages;

namespace Kv.Commits;

/// <summary>One run of a group's transaction: what it read, what it decided, and what its callers are told.</summary>
internal sealed class CommitAttempt(CommitGroup group, CommitReads reads, bool adopted = false)
{
    private readonly List<Answer> _answers = new(group.Writes.Count);

    public CommitReads Reads { get; } = reads;

    public CommitEffects Effects { get; private set; } = new();

    /// <summary>Whether every member is a write that was refused or failed: then there is nothing to commit, and no version is taken.</summary>
    public bool IsVoid => group.Count == group.Writes.Count && _answers.TrueForAll(static a => a.Error is not null || a.Refused);

    /// <summary>How many writes their checks refused.</summary>
    public int Refused => _answers.Count(static a => a.Refused);

    public void Evaluate()
    {
        var evaluator = new CommitEvaluator(Reads, adopted);
        for (var i = 0; i < group.Writes.Count; i++)
        {
            try
            {
                _answers.Add(new Answer(evaluator.Evaluate(group.Writes[i].Write, Reads.LastVersion - VersionOffset(i), VersionOffset(i)), null));
            }
            catch (KvException error)
            {
                _answers.Add(new Answer(default, error));
            }
        }

        Effects = evaluator.Finish();
    }

    /// <summary>What those hear of the commit that wait for one.</summary>
    /// <param name="isDurable">Whether it is known to be on the disk.</param>
    public CommitSummary Summarize(bool isDurable)
    {
        var left = Left();
        return new(
            Reads.LastVersion,
            Effects.SoonestExpiry,
            HasDue: Effects.Unblocked.Count > 0 || left.Exists(static m => m.Message.Delay == 0),
            HasQueued: left.Count > 0 || Effects.FreesSlots || Reads.Recovered > 0 || group.Requeues.Count > 0,
            isDurable);
    }

    /// <summary>Gives every member its answer.</summary>
    /// <param name="certain">
    /// Whether the commit answered. When its answer was lost, a message that is not held any more was most likely let go by that very commit,
    /// and messages that it claimed come back when their lease lapses.
    /// </param>
    public void Tell(bool certain)
    {
        for (var i = 0; i < group.Writes.Count; i++)
        {
            if (_answers[i].Error is { } error)
            {
                group.Writes[i].Fail(error);
            }
            else
            {
                group.Writes[i].Complete(_answers[i].Refused ? _answers[i].Outcome : _answers[i].Outcome with { Version = Reads.LastVersion - VersionOffset(i) });
            }
        }

        foreach (var completion in group.Completions)
        {
            completion.Complete(!certain || Reads.Released.Contains(completion.Fence));
        }

        foreach (var requeue in group.Requeues)
        {
            requeue.Complete(!certain || Reads.Released.Contains(requeue.Fence));
        }

        foreach (var update in group.Updates)
        {
            update.Complete((!certain && !update.IsFlush) || Reads.Updated.Contains(update));
        }

        foreach (var claim in group.Claims)
        {
            claim.Complete(Reads.Claimed.TryGetValue(claim, out var claimed) ? claimed : []);
        }
    }

    /// <summary>Tells the members that it could not be found out whether they are committed.</summary>
    /// <param name="mark">The mark of their commit.</param>
    /// <param name="cause">Why.</param>
    /// <param name="text">What to say instead of a lost connection.</param>
    public void TellUnknown(CommitMark mark, Exception cause, string? text = null)
    {
        for (var i = 0; i < group.Writes.Count; i++)
        {
            if (_answers[i].Error is { } error)
            {
                group.Writes[i].Fail(error);
            }
            else if (_answers[i].Refused)
            {
                // It wrote nothing either way; what refused it may be an earlier write of this very group.
                group.Writes[i].Fail(new KvException(
                    KvErrorKind.Unavailable, "The connection was lost while the checks were being answered. Nothing was written; try again.", cause));
            }
            else
            {
                group.Writes[i].Fail(new KvCommitUnknownException(new KvOperationId(mark.Writer, mark.Sequence, VersionOffset(i)), text, cause));
            }
        }

        foreach (var work in group.All.Where(static w => w is not AtomicWork))
        {
            work.Fail(work is UpdateWork { IsFlush: true }
                ? new KvException(
                    KvErrorKind.Unavailable,
                    "The connection was lost during a flush. What was committed before is as durable as it was. Flush again.",
                    cause)
                : cause);
        }
    }

    /// <summary>The messages that came into the queue and were not taken by claims of the same commit.</summary>
    private List<(NewMessage Message, long VersionOffset)> Left()
    {
        if (Effects.Messages.Count == 0 || Reads.Claimed.Count == 0)
        {
            return Effects.Messages;
        }

        var taken = Reads.Claimed.Values.SelectMany(static claimed => claimed).Select(static m => m.Fence.Id).ToHashSet(StringComparer.Ordinal);
        return Effects.Messages.FindAll(m => !taken.Contains(m.Message.Id));
    }

    private int VersionOffset(int index) => group.Writes.Count - 1 - index;

    private readonly record struct Answer(AtomicOutcome Outcome, KvException? Error)
    {
        public bool Refused => Error is null && Outcome.FailedChecks.Count > 0;
    }
}
