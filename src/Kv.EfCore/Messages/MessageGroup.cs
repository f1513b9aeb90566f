namespace Kv.Messages;

/// <summary>Messages of a topic that have slots in common.</summary>
internal readonly record struct MessageGroup(string Topic, string Key);
