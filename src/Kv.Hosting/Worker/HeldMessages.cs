using System.Collections.Concurrent;
using Kv.Engine;

namespace Kv.Worker;

/// <summary>The messages that a worker holds, each from its claim to its end.</summary>
internal sealed class HeldMessages(IReadOnlyList<TopicSettings> topics)
{
    private readonly ConcurrentDictionary<Fence, HeldMessage> _all = [];
    private readonly Dictionary<TopicSettings, int> _places = Enumerable.Range(0, topics.Count).ToDictionary(i => topics[i]);
    private readonly int[] _counts = new int[topics.Count];
    private int _count;

    public int Count => Volatile.Read(ref _count);

    /// <summary>Those that are held while it is read; ones that come or go meanwhile may be among them.</summary>
    public IEnumerable<HeldMessage> All => _all.Select(static pair => pair.Value);

    public int CountOf(TopicSettings topic) => Volatile.Read(ref _counts[_places[topic]]);

    public void Add(HeldMessage held)
    {
        _all[held.Message.Fence] = held;
        Interlocked.Increment(ref _count);
        Interlocked.Increment(ref _counts[_places[held.Topic]]);
    }

    public void Remove(HeldMessage held)
    {
        if (_all.TryRemove(new(held.Message.Fence, held)))
        {
            Interlocked.Decrement(ref _count);
            Interlocked.Decrement(ref _counts[_places[held.Topic]]);
        }
    }
}
