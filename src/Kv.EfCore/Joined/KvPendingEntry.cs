namespace Kv;

/// <summary>An entry as a unit of work sees it: what is stored, changed by what is collected.</summary>
public sealed class KvPendingEntry
{
    private readonly KvEntry _entry;

    internal KvPendingEntry(KvEntry entry, bool isStored) => (_entry, Versionstamp) = (entry, isStored ? entry.Versionstamp : null);

    /// <summary>The key of the entry.</summary>
    public KvKey Key => _entry.Key;

    /// <summary>The value as it would be stored; <see cref="As{T}"/> reads it.</summary>
    public KvValue Value => _entry.Value;

    /// <summary>
    /// The versionstamp of what is stored, for <see cref="KvUnitOfWork.Check"/>: checks are about what is there before the commit. Null if
    /// the key is absent, and only what is collected will give it a value.
    /// </summary>
    public KvVersionstamp? Versionstamp { get; }

    /// <summary>Reads the value with the serializer of the store.</summary>
    /// <typeparam name="T">What the value is read as.</typeparam>
    /// <exception cref="KvException">The value cannot be read as <typeparamref name="T"/>.</exception>
    public T? As<T>() => _entry.As<T>();

    /// <summary>Key, encoding and size, and versionstamp, for logs; not the content.</summary>
    public override string ToString() => $"{Key}: {Value}, {(Versionstamp is { } stored ? stored.ToString() : "not stored")}";
}
