namespace Kv.Messages;

/// <summary>What the end of a message concerns besides itself.</summary>
/// <param name="Topic">Its topic.</param>
/// <param name="Group">The group in which it frees a slot.</param>
/// <param name="Unique">The key that notes its unique key.</param>
/// <param name="UniqueUntil">Until when that stays taken, in Unix milliseconds.</param>
internal sealed record MessageKeys(string Topic, string? Group, byte[]? Unique, long UniqueUntil);
