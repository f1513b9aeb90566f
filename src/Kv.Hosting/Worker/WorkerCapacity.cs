using Kv.Messages;
using Kv.Topics;

namespace Kv.Worker;

/// <summary>
/// How many messages a worker handles at once, of all topics and of each, and how much of that is left: claims under way take their part
/// before.
/// </summary>
internal sealed class WorkerCapacity(IReadOnlyList<TopicSettings> topics, int concurrency)
{
    private readonly Part _all = new(concurrency);
    private readonly Dictionary<string, Part> _topics =
        topics.ToDictionary(static t => t.Topic, static t => new Part(t.Concurrency), StringComparer.Ordinal);

    /// <summary>How many more messages can be handled.</summary>
    public int Left => _all.Left;

    /// <summary>How much is taken: by messages that are handled, and by claims under way.</summary>
    public int Taken => _all.Taken;

    /// <summary>How many more messages of the topic can be handled, as far as the topic itself is concerned.</summary>
    public int LeftOf(TopicSettings topic) => _topics[topic.Topic].Left;

    /// <summary>Takes all that the claim may need.</summary>
    public void Reserve(IReadOnlyList<TopicClaim> topics, int limit)
    {
        _all.Take(limit);
        foreach (var topic in topics)
        {
            _topics[topic.Topic].Take(topic.Capacity);
        }
    }

    /// <summary>Gives back what the claim did not need.</summary>
    public void Settle(ClaimWork claim, IReadOnlyList<ClaimedMessage> claimed)
    {
        _all.Take(claimed.Count - claim.Limit);
        foreach (var topic in claim.Topics)
        {
            _topics[topic.Topic].Take(claimed.Count(m => m.Topic == topic.Topic) - topic.Capacity);
        }
    }

    /// <summary>A message of the topic has been handled; its end is not written yet.</summary>
    public void Handled(TopicSettings topic)
    {
        _topics[topic.Topic].Handled();
        _all.Handled();
    }

    /// <summary>The end of a message that had been handled is written, or could not be.</summary>
    public void Ended(TopicSettings topic)
    {
        _all.Ended();
        _topics[topic.Topic].Ended();
    }

    /// <summary>
    /// Capacity for so many messages. One that has been handled leaves its part to the next, so that its end and the claim of the next are
    /// written together; but no more of these than the capacity: if ends cannot be written, no more is claimed.
    /// </summary>
    private sealed class Part(int most)
    {
        private int _taken;
        private int _handled;

        public int Taken => Volatile.Read(ref _taken);

        public int Left => most - Taken - Math.Max(0, Volatile.Read(ref _handled) - most);

        public void Take(int count) => Interlocked.Add(ref _taken, count);

        public void Handled()
        {
            Interlocked.Increment(ref _handled);
            Interlocked.Decrement(ref _taken);
        }

        public void Ended() => Interlocked.Decrement(ref _handled);
    }
}
