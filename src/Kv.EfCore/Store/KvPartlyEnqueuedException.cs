namespace Kv;

/// <summary>Some of many messages are in the queue, and the others are not: a batch failed after earlier ones had been committed.</summary>
/// <remarks>
/// To go on, enqueue the messages after the first <see cref="MessageIds"/>.Count of the sequence. If
/// <see cref="Exception.InnerException"/> is a <see cref="KvCommitUnknownException"/>, ask the store first whether the batch that follows
/// them was committed.
/// </remarks>
/// <param name="messageIds">The ids of those that are in the queue.</param>
/// <param name="cause">Why the next batch is not.</param>
public sealed class KvPartlyEnqueuedException(IReadOnlyList<string> messageIds, Exception cause) : KvException(
    (cause as KvException)?.Kind ?? KvErrorKind.Refused,
    $"The first {messageIds.Count} messages are in the queue, and what follows them is not: {cause.Message} "
    + $"Enqueue the messages after the first {messageIds.Count} again, when the cause is gone.",
    cause)
{
    /// <summary>The ids of the messages that are in the queue, in the order of the sequence, from its beginning.</summary>
    public IReadOnlyList<string> MessageIds { get; } = messageIds;
}
