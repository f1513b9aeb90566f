using Kv.Keys;

namespace Kv.Values;

/// <summary>Versionstamps as their texts.</summary>
internal sealed class VersionstampConverter() : TextConverter<KvVersionstamp>(KvVersionstamp.Parse)
{
    public static VersionstampConverter Instance { get; } = new();
}
