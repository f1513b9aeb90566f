namespace Kv.Keys;

/// <summary>Parts of keys as their texts.</summary>
internal sealed class KeyPartConverter() : TextConverter<KvKeyPart>(KeyConverter.Part);
