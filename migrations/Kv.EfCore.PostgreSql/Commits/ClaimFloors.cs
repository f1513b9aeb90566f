using Kv.Commits;

namespace Kv.PostgreSql;

/// <summary>
/// Where this process goes on in each topic when it claims again and again from a backlog, so that it does not walk past what it claimed
/// already: PostgreSQL keeps that for as long as any transaction of the database may see it.
/// </summary>
/// <remarks>
/// What comes to lie below by a commit of this process makes it begin anew. What other processes put there, more urgent or just released, it
/// finds when it next begins anew, which it does at the latest when it has gone on for ten times as long as the last search from the
/// beginning took. Commits of this process come beside the searches, from another thread.
/// </remarks>
internal sealed class ClaimFloors(TimeProvider time)
{
    private const int Longest = 10;
    private static readonly ClaimFloor None = new(int.MinValue, long.MinValue, "");
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Known> _known = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _cameMeanwhile = new(StringComparer.Ordinal);
    private bool _freedMeanwhile;

    /// <summary>Searches are about to be sent, which may not see what is committed from now on.</summary>
    public void Begin()
    {
        lock (_gate)
        {
            _cameMeanwhile.Clear();
            _freedMeanwhile = false;
        }
    }

    /// <summary>What a search of a topic begins above.</summary>
    public ClaimFloor Of(string topic)
    {
        lock (_gate)
        {
            return _known.TryGetValue(topic, out var known) && time.GetElapsedTime(known.BeganAnewAt) < known.Took * Longest
                ? known.Floor
                : None;
        }
    }

    /// <summary>Learns where a search came to.</summary>
    /// <param name="search">The search.</param>
    /// <param name="from">Where it began, by topic.</param>
    /// <param name="reached">The last message of each topic that it found, and how many.</param>
    /// <param name="startedAt">When it was sent.</param>
    public void Learn(
        ClaimPlan.Search search,
        Dictionary<string, ClaimFloor> from,
        Dictionary<string, (ClaimFloor Last, int Count)> reached,
        long startedAt)
    {
        var isFull = reached.Values.Sum(static r => r.Count) >= search.Limit;
        lock (_gate)
        {
            foreach (var topic in search.Topics)
            {
                var (last, count) = reached.GetValueOrDefault(topic.Topic);
                if ((!isFull && count < topic.Capacity)
                    || _freedMeanwhile
                    || (_cameMeanwhile.TryGetValue(topic.Topic, out var came) && came < last.Priority))
                {
                    // Nothing more above, or something new below.
                    _known.Remove(topic.Topic);
                }
                else if (count > 0)
                {
                    _known[topic.Topic] = from[topic.Topic] != None && _known.TryGetValue(topic.Topic, out var before)
                        ? before with { Floor = last }
                        : new Known(last, startedAt, time.GetElapsedTime(startedAt));
                }
            }
        }
    }

    /// <summary>Begins anew in topics where a commit may have put something below, or released something there.</summary>
    public void Observe(CommitGroup group, CommitEffects effects)
    {
        lock (_gate)
        {
            if (group.Requeues.Count > 0
                || group.Updates.Count > 0
                || group.Claims.Exists(static c => c.Recover || c.FindsSlots)
                || effects.FreesSlots)
            {
                _known.Clear();
                _freedMeanwhile = true;
            }

            foreach (var (message, _) in effects.Messages)
            {
                _cameMeanwhile[message.Topic] = Math.Min(message.Priority, _cameMeanwhile.GetValueOrDefault(message.Topic, int.MaxValue));
                if (_known.TryGetValue(message.Topic, out var known) && message.Priority < known.Floor.Priority)
                {
                    _known.Remove(message.Topic);
                }
            }
        }
    }

    private readonly record struct Known(ClaimFloor Floor, long BeganAnewAt, TimeSpan Took);
}

/// <summary>A position in the order of a topic's messages.</summary>
internal readonly record struct ClaimFloor(int Priority, long DueAt, string Id)
{
    /// <summary>Which of two comes first.</summary>
    public static int Compare(ClaimFloor one, ClaimFloor other)
    {
        var byPriority = one.Priority.CompareTo(other.Priority);
        var byTime = byPriority != 0 ? byPriority : one.DueAt.CompareTo(other.DueAt);
        return byTime != 0 ? byTime : string.CompareOrdinal(one.Id, other.Id);
    }
}
