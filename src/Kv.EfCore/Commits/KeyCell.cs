namespace Kv.Commits;

/// <summary>A key as it is after the writes so far: what it holds, and what becomes of its row.</summary>
internal readonly record struct KeyCell
{
    public bool Live { get; init; }

    public long Version { get; init; }

    public long VersionOffset { get; init; }

    public int Encoding { get; init; }

    public byte[]? Value { get; init; }

    public long ExpiresAt { get; init; }

    public KeyEffect Effect { get; init; }
}
