namespace Kv;

/// <summary>A key that was changed.</summary>
/// <param name="Key">The key.</param>
/// <param name="IsDeleted">
/// Whether it was left without an entry; otherwise its value, its expiry or both were set. The value is read as any other: by then it may
/// be a later one, which a later change tells of.
/// </param>
public sealed record KvChange(KvKey Key, bool IsDeleted);
