namespace Kv;

/// <summary>What a topic has in the queue at a moment.</summary>
/// <param name="Topic">The topic.</param>
/// <param name="Due">Messages that are due and wait for a worker.</param>
/// <param name="Delayed">Messages that wait for their time.</param>
/// <param name="Blocked">Messages that wait for others of their groups.</param>
/// <param name="Running">Messages that a worker holds.</param>
/// <param name="OldestDue">How long the message that was due first has been waiting; null if none is due.</param>
/// <param name="IsPaused">Whether the topic is paused.</param>
public sealed record KvTopicStats(string Topic, long Due, long Delayed, long Blocked, long Running, TimeSpan? OldestDue, bool IsPaused);
