namespace Kv.Commits;

/// <param name="Version">The version that wrote the row.</param>
/// <param name="Encoding">The value's encoding.</param>
/// <param name="ExpiresAt">Unix milliseconds, or -1.</param>
/// <param name="Value">The value, if it is short, as counters are, or a merge asks for it.</param>
internal readonly record struct StoredRow(long Version, int Encoding, long ExpiresAt, byte[]? Value);
