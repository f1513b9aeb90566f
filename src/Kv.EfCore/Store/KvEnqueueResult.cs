namespace Kv;

/// <summary>What became of a message that was put into the queue.</summary>
/// <param name="MessageId">
/// The id of the message; where its unique key was taken and the message that has it was kept, that message's.
/// </param>
/// <param name="Versionstamp">The versionstamp of the commit.</param>
/// <param name="IsNew">Whether the message was put in: false if another one with its unique key was kept.</param>
public readonly record struct KvEnqueueResult(string MessageId, KvVersionstamp Versionstamp, bool IsNew);
