namespace Kv.Commits;

/// <summary>A condition: the key's versionstamp as it was read, all ten bytes of it, or null for a key that was absent.</summary>
internal readonly record struct Check(byte[] Key, KvVersionstamp? Versionstamp);
