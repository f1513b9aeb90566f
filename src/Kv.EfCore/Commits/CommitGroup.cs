using Kv.Diagnostics;
using Kv.Messages;

namespace Kv.Commits;

/// <summary>The work that shares one transaction.</summary>
internal sealed class CommitGroup
{
    private static readonly Dictionary<string, int> None = [];

    public List<AtomicWork> Writes { get; } = [];

    public List<CompleteWork> Completions { get; } = [];

    public List<RequeueWork> Requeues { get; } = [];

    public List<UpdateWork> Updates { get; } = [];

    public List<ClaimWork> Claims { get; } = [];

    public IEnumerable<Work> All => Writes.Concat<Work>(Completions).Concat(Requeues).Concat(Updates).Concat(Claims);

    public int Count => Writes.Count + Completions.Count + Requeues.Count + Updates.Count + Claims.Count;

    /// <summary>What it is for.</summary>
    public CommitKinds Kinds
    {
        get
        {
            var kinds = Claims.Count > 0 ? CommitKinds.Claims : CommitKinds.None;
            kinds |= Completions.Count > 0 || Requeues.Count > 0 ? CommitKinds.Ends : CommitKinds.None;
            foreach (var work in Writes)
            {
                kinds |= work.Write.Kinds;
            }

            foreach (var work in Updates)
            {
                kinds |= work.Kinds;
            }

            return kinds;
        }
    }

    /// <summary>Whether it takes versions of the store. All of its writes do, or none.</summary>
    public bool TakesVersions => Writes.Count > 0 && Writes[0].TakesVersion;

    /// <summary>How durable its commit is: as the member says that asks for most.</summary>
    /// <remarks>Claims that share a commit with writes ask for nothing: one that is lost is made again.</remarks>
    /// <param name="usual">What members ask for that do not say.</param>
    public KvDurability DurabilityOr(KvDurability usual)
    {
        var others = Completions.Count + Requeues.Count + (Writes.Count + Updates.Count == 0 ? Claims.Count : 0);
        return (others > 0 && usual == KvDurability.Full)
            || Writes.Exists(w => (w.Durability ?? usual) == KvDurability.Full)
            || Updates.Exists(w => (w.Durability ?? usual) == KvDurability.Full)
            ? KvDurability.Full
            : KvDurability.Relaxed;
    }

    /// <summary>How many messages are put in that are due at once, by topic.</summary>
    public IReadOnlyDictionary<string, int> DueMessages()
    {
        Dictionary<string, int>? counts = null;
        foreach (var work in Writes)
        {
            foreach (var message in work.Write.Messages)
            {
                if (message.Delay == 0)
                {
                    counts ??= new(StringComparer.Ordinal);
                    counts[message.Topic] = counts.GetValueOrDefault(message.Topic) + 1;
                }
            }
        }

        return counts ?? None;
    }

    /// <summary>When the first caller of any of them began to wait, as <see cref="TimeProvider.System"/> counts.</summary>
    public long AskedAt { get; private set; } = long.MaxValue;

    /// <summary>Has the only member of a group run in a form that lives with rows which other programs put in; once.</summary>
    public bool TryAdapt()
    {
        if (this is { Count: 1, Claims: [{ IsCareful: false } claim] })
        {
            return claim.IsCareful = claim.FoundStrays = true;
        }

        if (this is { Count: 1, Requeues: [{ HasMoved: false } requeue] })
        {
            requeue.MoveOn();
            return true;
        }

        return false;
    }

    /// <summary>Lets those go whose callers have waited for so long.</summary>
    public List<Work> RemoveOlder(TimeSpan longest)
    {
        var now = TimeProvider.System.GetTimestamp();
        List<Work> old = [.. All.Where(w => TimeProvider.System.GetElapsedTime(w.AskedAt, now) >= longest)];
        var gone = old.ToHashSet();
        Writes.RemoveAll(gone.Contains);
        Completions.RemoveAll(gone.Contains);
        Requeues.RemoveAll(gone.Contains);
        Updates.RemoveAll(gone.Contains);
        Claims.RemoveAll(gone.Contains);
        AskedAt = Count == 0 ? long.MaxValue : All.Min(static w => w.AskedAt);
        return old;
    }

    /// <summary>Lets those writes go whose callers have waited for so long. Ends and claims of messages stay.</summary>
    public List<AtomicWork> RemoveOlderWrites(TimeSpan longest)
    {
        var now = TimeProvider.System.GetTimestamp();
        var old = Writes.FindAll(w => TimeProvider.System.GetElapsedTime(w.AskedAt, now) >= longest);
        Writes.RemoveAll(old.Contains);
        AskedAt = Count == 0 ? long.MaxValue : All.Min(static w => w.AskedAt);
        return old;
    }

    public void Add(Work work)
    {
        AskedAt = Math.Min(AskedAt, work.AskedAt);
        switch (work)
        {
            case AtomicWork write:
                Writes.Add(write);
                break;
            case CompleteWork completion:
                Completions.Add(completion);
                break;
            case RequeueWork requeue:
                Requeues.Add(requeue);
                break;
            case UpdateWork update:
                Updates.Add(update);
                break;
            case ClaimWork claim:
                Claims.Add(claim);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(work), work, "Not a kind of work that a group runs.");
        }
    }
}
