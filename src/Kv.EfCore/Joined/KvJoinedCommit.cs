namespace Kv;

/// <summary>What a context has committed of the store together with its entities.</summary>
/// <param name="Versionstamp">
/// The versionstamp of the commit, which all its entries carry. Null if it brought nothing but messages without a message group and a
/// unique key: these need no place in the order of commits, so that transactions which only enqueue do not wait for one another.
/// </param>
/// <param name="MessageIds">
/// The ids of the messages, in the order of their enqueueing; where a unique key was taken and its message was kept, that message's.
/// </param>
public sealed record KvJoinedCommit(KvVersionstamp? Versionstamp, IReadOnlyList<string> MessageIds);
