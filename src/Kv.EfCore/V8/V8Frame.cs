namespace Kv.V8;

internal enum V8FrameKind
{
    Object,
    Elements,
    Sparse,
    Map,
    Set,
    Error,
    Host,
}

/// <summary>A value that is being read, whose members come.</summary>
/// <param name="kind">How its members are told.</param>
/// <param name="value">The value.</param>
/// <param name="endTag">What comes when it ends.</param>
/// <param name="count">How many elements a dense array has, and the length of a sparse one.</param>
internal sealed class V8Frame(V8FrameKind kind, V8Value value, byte endTag, uint count)
{
    public V8FrameKind Kind => kind;

    public V8Value Value => value;

    public byte EndTag => endTag;

    public uint Count => count;

    /// <summary>How many elements were read, or members of a map or set.</summary>
    public uint Read { get; set; }

    /// <summary>How many properties were read.</summary>
    public uint Properties { get; set; }

    /// <summary>The name or key whose value comes next; null for none.</summary>
    public V8Value? Key { get; set; }
}
