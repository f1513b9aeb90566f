namespace Kv.Messages;

/// <summary>Where the queue notes what it knows besides its messages: entries of the store, under a prefix of their own.</summary>
/// <remarks>As entries they are committed with messages, checked, watched and swept like all others, and need no further table.</remarks>
internal static class QueueKeys
{
    public const string Prefix = "efkv";

    /// <summary>There while a topic is paused.</summary>
    public static byte[] Paused(string topic) => Key("paused", topic);

    /// <summary>Holds the id of the message that has the unique key.</summary>
    public static byte[] Unique(string topic, string key) => Key("unique", topic, key);

    /// <summary>Holds the bucket of a rate: of a topic, or of a key within it.</summary>
    public static byte[] Rate(string topic, string? key) => key is null ? Key("rate", topic) : Key("rate", topic, key);

    private static byte[] Key(string kind, params ReadOnlySpan<string> parts)
    {
        KvKey key = [Prefix, kind];
        foreach (var part in parts)
        {
            key = key.Append(part);
        }

        return key.Bytes;
    }
}
