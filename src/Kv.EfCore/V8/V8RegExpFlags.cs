namespace Kv;

/// <summary>The flags of a <see cref="V8RegExp"/>, with V8's numbers.</summary>
[Flags]
public enum V8RegExpFlags
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary><c>g</c></summary>
    Global = 1,

    /// <summary><c>i</c></summary>
    IgnoreCase = 2,

    /// <summary><c>m</c></summary>
    Multiline = 4,

    /// <summary><c>y</c></summary>
    Sticky = 8,

    /// <summary><c>u</c></summary>
    Unicode = 16,

    /// <summary><c>s</c></summary>
    DotAll = 32,

    /// <summary><c>d</c></summary>
    HasIndices = 128,

    /// <summary><c>v</c></summary>
    UnicodeSets = 256,
}
