using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Kv.Keys;

/// <summary>What a store shows of itself: all keys, or those below a prefix, which its callers neither see nor name.</summary>
internal sealed class KeyScope
{
    /// <summary>Bytes of the text of a scope.</summary>
    public const int MaxSize = 512;

    /// <summary>Stands between a scope and a key of the queue. No key that a caller gives has it.</summary>
    private const char Separator = '\u001f';

    private readonly string _text;

    private KeyScope(KvKey prefix) => (Prefix, _text) = (prefix, prefix.ToString());

    /// <summary>All keys.</summary>
    public static KeyScope All { get; } = new(KvKey.Empty);

    /// <summary>What all keys of the scope begin with.</summary>
    public KvKey Prefix { get; }

    /// <summary>Whether the scope has all keys.</summary>
    public bool IsAll => Prefix.Bytes.Length == 0;

    /// <summary>The scope as it is kept with a message; null for all keys.</summary>
    public byte[]? Stored => IsAll ? null : Prefix.Bytes;

    /// <summary>The scope that a message has kept. Whatever the bytes are, they are a prefix.</summary>
    public static KeyScope FromStored(byte[]? stored) => stored is null or [] ? All : new KeyScope(KvKey.FromStored(stored));

    /// <summary>The keys of this scope that are below a prefix.</summary>
    /// <exception cref="ArgumentException">The prefix has no parts, is no key, or is too long.</exception>
    public KeyScope Below(KvKey prefix)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        if (prefix.Bytes.Length == 0)
        {
            throw new ArgumentException("A scope needs a prefix of at least one part, such as [\"tenant\", 42L].", nameof(prefix));
        }

        if (!prefix.IsDecodable)
        {
            throw new ArgumentException($"The prefix of the scope is no key: {prefix}.", nameof(prefix));
        }

        var scope = new KeyScope(KvKey.FromStored([.. Prefix.Bytes, .. prefix.Bytes]));
        var size = Encoding.UTF8.GetByteCount(scope._text);
        return size <= MaxSize
            ? scope
            : throw new ArgumentException(
                $"Scope too large (max {MaxSize} bytes): {scope._text} takes {size} bytes as text. Shorten its parts.", nameof(prefix));
    }

    /// <summary>The stored form of a key of the scope.</summary>
    public byte[] In(KvKey key) => IsAll ? key.Bytes : [.. Prefix.Bytes, .. key.Bytes];

    /// <summary>The range of stored keys that a range of the scope is.</summary>
    public KvRange In(KvRange range) => IsAll ? range : range.In(Prefix);

    /// <summary>The queue's form of a key of the scope by which messages are ordered, limited, or unique.</summary>
    [return: NotNullIfNotNull(nameof(queueKey))]
    public string? In(string? queueKey) => IsAll || queueKey is null ? queueKey : $"{_text}{Separator}{queueKey}";

    /// <summary>The key of the scope that a stored key is.</summary>
    public KvKey Out(byte[] stored) => KvKey.FromStored(IsAll ? stored : stored[Prefix.Bytes.Length..]);

    /// <summary>The key as its caller gave it, of one that the queue has.</summary>
    [return: NotNullIfNotNull(nameof(queueKey))]
    public string? Out(string? queueKey) =>
        IsAll || queueKey is null || !queueKey.StartsWith($"{_text}{Separator}", StringComparison.Ordinal)
            ? queueKey
            : queueKey[(_text.Length + 1)..];

    /// <summary>How an error goes on that is about the size of a key.</summary>
    public string OfSize => IsAll ? "" : $", of which {Prefix.Bytes.Length} are the scope's";
}
