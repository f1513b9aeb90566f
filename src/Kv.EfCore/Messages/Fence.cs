namespace Kv.Messages;

/// <summary>What proves that a message still runs where something acts on it: its owner and the number of its claim.</summary>
internal readonly record struct Fence(string Id, string Owner, long Claim);
