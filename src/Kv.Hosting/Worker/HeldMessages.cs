using System.Collections.Concurrent;
using Kv.Engine;

namespace Kv.Worker;

/// <summary>The messages that a worker holds, each from its claim to its end, and the places that they take, which claims under way take already.</summary>
internal sealed class HeldMessages(IReadOnlyList<TopicSettings> topics, int concurrency)
{
    private readonly ConcurrentDictionary<Fence, HeldMessage> _all = [];
    private readonly Dictionary<string, int> _indexes = Enumerable.Range(0, topics.Count).ToDictionary(i => topics[i].Topic, StringComparer.Ordinal);
    private readonly int[] _taken = new int[topics.Count];
    private int _takenOfAll;

    /// <summary>How many messages there is a place for.</summary>
    public int Room => concurrency - Volatile.Read(ref _takenOfAll);

    /// <summary>Those that are held while it is read; ones that come or go meanwhile may be among them.</summary>
    public IEnumerable<HeldMessage> All => _all.Select(static pair => pair.Value);

    /// <summary>How many messages of the topic there is a place for, as far as the topic itself is concerned.</summary>
    public int RoomOf(TopicSettings topic) => topic.Concurrency - Volatile.Read(ref _taken[_indexes[topic.Topic]]);

    /// <summary>Takes all places that the claim may need.</summary>
    public void Reserve(ClaimWork claim)
    {
        Interlocked.Add(ref _takenOfAll, claim.Limit);
        foreach (var topic in claim.Topics)
        {
            Interlocked.Add(ref _taken[_indexes[topic.Topic]], topic.Room);
        }
    }

    /// <summary>Gives back the places that the claim did not need.</summary>
    public void Settle(ClaimWork claim, IReadOnlyList<ClaimedMessage> claimed)
    {
        Interlocked.Add(ref _takenOfAll, claimed.Count - claim.Limit);
        foreach (var topic in claim.Topics)
        {
            Interlocked.Add(ref _taken[_indexes[topic.Topic]], claimed.Count(m => m.Topic == topic.Topic) - topic.Room);
        }
    }

    /// <summary>Adds a message whose place is taken.</summary>
    public void Add(HeldMessage held) => _all[held.Message.Fence] = held;

    /// <summary>Ends a message and frees its place.</summary>
    public void Remove(HeldMessage held)
    {
        if (_all.TryRemove(new(held.Message.Fence, held)))
        {
            Interlocked.Decrement(ref _takenOfAll);
            Interlocked.Decrement(ref _taken[_indexes[held.Topic.Topic]]);
        }
    }
}
