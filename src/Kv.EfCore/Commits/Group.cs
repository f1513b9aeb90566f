using Kv.Keys;
using Kv.Messages;

namespace Kv.Commits;

/// <summary>The work that shares one transaction.</summary>
internal sealed class Group
{
    private static readonly Dictionary<string, int> None = [];

    public List<AtomicWork> Writes { get; } = [];

    public List<CompleteWork> Completions { get; } = [];

    public List<RequeueWork> Requeues { get; } = [];

    public List<UpdateWork> Updates { get; } = [];

    public List<ClaimWork> Claims { get; } = [];

    public IEnumerable<Work> All => Writes.Concat<Work>(Completions).Concat(Requeues).Concat(Updates).Concat(Claims);

    public int Count => Writes.Count + Completions.Count + Requeues.Count + Updates.Count + Claims.Count;

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

/// <summary>Names a commit, so that its outcome can be asked for when the answer was lost.</summary>
/// <param name="Writer">The number that the writer drew for itself.</param>
/// <param name="Sequence">The number of the commit among the writer's.</param>
internal readonly record struct CommitMark(long Writer, long Sequence);

/// <summary>What a group finds when its transaction has begun.</summary>
internal sealed class GroupReads
{
    /// <summary>The time of the step, in Unix milliseconds: expiries count from it, and are judged by it.</summary>
    /// <remarks>0 where the server's clock decides and nothing of the group depends on what is stored: expiries then count from the commit.</remarks>
    public required long Now { get; set; }

    /// <summary>The version after the group: the last write's own. 0 if it is not known before the commit.</summary>
    public long LastVersion { get; set; }

    public Dictionary<byte[], StoredRow> Rows { get; } = new(KeyComparer.Instance);

    /// <summary>Those of the fences asked for that still hold.</summary>
    public HashSet<Fence> Held { get; } = [];

    /// <summary>Those of the waiting messages asked for that still wait.</summary>
    public HashSet<string> Waiting { get; } = new(StringComparer.Ordinal);

    /// <summary>Those of the rows that are to be cleared that are still there.</summary>
    public HashSet<StrayRow> Strays { get; } = [];

    /// <summary>The completed and requeued messages that were still held.</summary>
    public HashSet<Fence> Released { get; } = [];

    /// <summary>The updates that met a row.</summary>
    public HashSet<UpdateWork> Updated { get; } = [];

    public Dictionary<ClaimWork, List<ClaimedMessage>> Claimed { get; } = [];

    /// <summary>A claim has taken a message.</summary>
    public void Hold(ClaimWork claim, ClaimedMessage message)
    {
        if (!Claimed.TryGetValue(claim, out var claimed))
        {
            Claimed.Add(claim, claimed = []);
        }

        claimed.Add(message);
    }

    /// <summary>How many lapsed messages went back into the queue.</summary>
    public int Recovered { get; set; }
}

/// <param name="Version">The version that wrote the row.</param>
/// <param name="Encoding">The value's encoding.</param>
/// <param name="ExpiresAt">Unix milliseconds, or -1.</param>
/// <param name="Value">The value, if it is short, as counters are.</param>
internal readonly record struct StoredRow(long Version, int Encoding, long ExpiresAt, byte[]? Value);

/// <summary>What a group changes, each key at most once: the last word on it.</summary>
internal sealed class GroupEffects
{
    public List<(byte[] Start, byte[] End)> Ranges { get; } = [];

    public List<byte[]> Deletes { get; } = [];

    /// <remarks><c>Back</c> counts from the group's last version to the version of the write.</remarks>
    public List<(byte[] Key, byte[] Value, int Encoding, long Back, long ExpiresAt)> Puts { get; } = [];

    public List<(byte[] Key, long Back, long ExpiresAt)> Touches { get; } = [];

    /// <inheritdoc cref="Puts" path="/remarks" />
    public List<(NewMessage Message, long Back)> Messages { get; } = [];

    public List<(Fence Fence, MessageKeys? Keys)> Acknowledged { get; } = [];

    /// <summary>Waiting messages that go, if they still wait.</summary>
    public List<string> Removed { get; } = [];

    /// <summary>Rows that no claim takes, which go.</summary>
    public List<StrayRow> Cleared { get; } = [];

    /// <summary>Groups whose next message is let go if there is a place for it.</summary>
    public List<MessageGroup> Unblocked { get; } = [];

    /// <summary>Whether messages that waited for a place in their group may have got one.</summary>
    public bool LetsGo => Unblocked.Count > 0 || Removed.Count > 0 || Acknowledged.Exists(static a => a.Keys?.Group is not null);

    /// <summary>In how many milliseconds the first of what is written expires; <see cref="long.MaxValue"/> for none.</summary>
    public long SoonestExpiry { get; set; } = long.MaxValue;
}
