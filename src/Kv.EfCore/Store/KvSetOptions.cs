namespace Kv;

/// <summary>How a value is set, where what its type says is not what is wanted.</summary>
public sealed record KvSetOptions
{
    /// <summary>How long the entry lives from the commit. A former expiry is dropped.</summary>
    /// <value>Default: null, for ever.</value>
    public TimeSpan? ExpireIn { get; init; }

    /// <summary>
    /// How the value is stored: <see cref="KvEncoding.UInt64"/> makes a counter of any integer that is not negative,
    /// <see cref="KvEncoding.Json"/> makes JSON of a <see cref="ulong"/> or of bytes, too.
    /// </summary>
    /// <value>
    /// Default: null, for what the serializer makes of the type. A value that cannot be stored so is refused with a
    /// <see cref="KvException"/>, before anything is written.
    /// </value>
    public KvEncoding? Encoding { get; init; }
}
