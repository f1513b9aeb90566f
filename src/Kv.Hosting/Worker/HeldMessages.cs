using System.Collections.Concurrent;
using Kv.Handling;
using Kv.Messages;
using Kv.Topics;

namespace Kv.Worker;

/// <summary>
/// The messages that a worker holds, each from its claim to its end, and the places of those that it handles, which claims under way take already.
/// </summary>
internal sealed class HeldMessages(IReadOnlyList<TopicSettings> topics, int concurrency)
{
    private readonly ConcurrentDictionary<Fence, HeldMessage> _all = [];
    private readonly Dictionary<string, Places> _places = topics.ToDictionary(static t => t.Topic, static t => new Places(t.Concurrency), StringComparer.Ordinal);
    private readonly Places _ofAll = new(concurrency);

    /// <summary>How many messages there is a place for.</summary>
    public int Room => _ofAll.Room;

    /// <summary>How many places are taken: by messages that are handled, and by claims under way.</summary>
    public int Taken => _ofAll.Taken;

    /// <summary>Those that are held while it is read; ones that come or go meanwhile may be among them.</summary>
    public IEnumerable<HeldMessage> All => _all.Select(static pair => pair.Value);

    /// <summary>How many messages of the topic there is a place for, as far as the topic itself is concerned.</summary>
    public int RoomOf(TopicSettings topic) => _places[topic.Topic].Room;

    /// <summary>Takes all places that the claim may need.</summary>
    public void Reserve(IReadOnlyList<TopicClaim> topics, int limit)
    {
        _ofAll.Take(limit);
        foreach (var topic in topics)
        {
            _places[topic.Topic].Take(topic.Room);
        }
    }

    /// <summary>Gives back the places that the claim did not need.</summary>
    public void Settle(ClaimWork claim, IReadOnlyList<ClaimedMessage> claimed)
    {
        _ofAll.Take(claimed.Count - claim.Limit);
        foreach (var topic in claim.Topics)
        {
            _places[topic.Topic].Take(claimed.Count(m => m.Topic == topic.Topic) - topic.Room);
        }
    }

    /// <summary>Adds a message whose place is taken.</summary>
    public void Add(HeldMessage held) => _all[held.Message.Fence] = held;

    /// <summary>Frees the place of a message that has been handled, and is held until its end is written.</summary>
    public void Finish(HeldMessage held)
    {
        if (held.TryLeavePlace())
        {
            _places[held.Topic.Topic].Finish();
            _ofAll.Finish();
        }
    }

    /// <summary>Ends a message.</summary>
    public void Remove(HeldMessage held)
    {
        if (_all.TryRemove(new(held.Message.Fence, held)))
        {
            Finish(held);
            _ofAll.End();
            _places[held.Topic.Topic].End();
        }
    }

    /// <summary>
    /// Places for so many messages. One that has been handled leaves its place to the next, so that its end and the claim of the next are
    /// written together; but no more of these than there are places: if ends cannot be written, no more is claimed.
    /// </summary>
    private sealed class Places(int most)
    {
        private int _taken;
        private int _finishing;

        public int Taken => Volatile.Read(ref _taken);

        public int Room => most - Taken - Math.Max(0, Volatile.Read(ref _finishing) - most);

        public void Take(int count) => Interlocked.Add(ref _taken, count);

        public void Finish()
        {
            Interlocked.Increment(ref _finishing);
            Interlocked.Decrement(ref _taken);
        }

        public void End() => Interlocked.Decrement(ref _finishing);
    }
}
