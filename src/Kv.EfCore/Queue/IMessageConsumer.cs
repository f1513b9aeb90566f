using Kv.Messages;

namespace Kv.Queue;

/// <summary>
/// What takes messages from the queue: it is told of what happens to them, once it is attached (<see cref="MessageQueue.Attach"/>).
/// </summary>
internal interface IMessageConsumer
{
    /// <summary>Asked before a commit of this process that brings messages which are due at once.</summary>
    /// <param name="coming">How many come, by topic.</param>
    /// <returns>A claim that shares the commit; null for none.</returns>
    ClaimWork? ShareCommit(IReadOnlyDictionary<string, int> coming);

    /// <summary>A commit of this process left messages that are due at once. Told before <see cref="OnMessagesQueued"/>.</summary>
    void OnMessagesDue();

    /// <summary>Messages came into the queue by a commit of this process, or of another that is heard of.</summary>
    void OnMessagesQueued();

    /// <summary>A message that runs is to be cancelled, by the wish of this process or of another that is heard of.</summary>
    void OnCancelRequested();

    /// <summary><see cref="MessageQueue.IsListening"/> is not what it was.</summary>
    void OnListeningChanged();
}
