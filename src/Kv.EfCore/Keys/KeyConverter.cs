namespace Kv.Keys;

/// <summary>Keys as their texts. One that cannot be taken apart is its bytes.</summary>
internal sealed class KeyConverter() : TextConverter<KvKey>(Key)
{
    private const string Undecodable = "undecodable 0x";

    public static KeyConverter Instance { get; } = new();

    public static KvKeyPart Part(string text) => KvKey.Parse($"[{text}]") is [var part]
        ? part
        : throw new FormatException("The text is not one part of a key.");

    private static KvKey Key(string text) => text.StartsWith(Undecodable, StringComparison.Ordinal)
        ? KvKey.FromStored(Convert.FromHexString(text.AsSpan(Undecodable.Length)))
        : KvKey.Parse(text);
}
