namespace Kv.Diagnostics;

/// <summary>How many messages of a topic are in the queue.</summary>
/// <param name="Topic">The topic.</param>
/// <param name="Due">Those that are due and wait for a worker.</param>
/// <param name="Delayed">Those that wait for their time.</param>
/// <param name="Blocked">Those that wait for others of their group.</param>
/// <param name="Running">Those that a worker holds.</param>
/// <param name="OldestDue">How long the oldest of those that wait has been due; null where none is.</param>
internal sealed record QueueDepth(string Topic, long Due, long Delayed, long Blocked, long Running, TimeSpan? OldestDue);
