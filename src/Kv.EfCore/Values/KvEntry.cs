using System.Diagnostics;
using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.Values;

namespace Kv;

/// <summary>A key, its value, and when it was written, as they were at the time of reading.</summary>
[DebuggerDisplay("{Key} = {Value.Shown,nq} ({Versionstamp})")]
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(EntryConverter))]
public sealed class KvEntry
{
    private readonly IKvValueSerializer _serializer;

    internal KvEntry(KvKey key, KvValue value, KvVersionstamp versionstamp, IKvValueSerializer serializer)
    {
        Key = key;
        Value = value;
        Versionstamp = versionstamp;
        _serializer = serializer;
    }

    /// <summary>The key of the entry.</summary>
    public KvKey Key { get; }

    /// <summary>The value as it is stored; <see cref="As{T}"/> reads it.</summary>
    public KvValue Value { get; }

    /// <summary>When the entry was last written. A check that names it fails once the entry has changed.</summary>
    public KvVersionstamp Versionstamp { get; }

    /// <summary>The same entry with another value.</summary>
    internal KvEntry With(KvValue value) => new(Key, value, Versionstamp, _serializer);

    /// <summary>Reads the value with the serializer of the store.</summary>
    /// <exception cref="KvException">The value cannot be read as <typeparamref name="T"/>; the message names key and encoding.</exception>
    public T? As<T>()
    {
        try
        {
            return _serializer.Deserialize<T>(Value);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            // The text is told whole, so what is inside is the cause alone.
            throw new KvException(
                (exception as KvException)?.Kind ?? KvErrorKind.Encoding,
                $"The entry {Key} ({Value}) cannot be read: {exception.Message}",
                exception is KvException ? exception.InnerException : exception);
        }
    }

    /// <summary>Key, encoding and size, and versionstamp, for logs; not the content.</summary>
    public override string ToString() => $"{Key}: {Value}, {Versionstamp}";
}
