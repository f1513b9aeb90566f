namespace Kv.V8;

/// <summary>The bytes that say what comes in V8's structured-clone format, as in <c>SerializationTag</c> of V8's source.</summary>
internal static class V8Tags
{
    public const byte Header = 0xFF;
    public const byte Version = 15;
    public const byte OldestVersion = 12;
    public const byte NewestVersion = 16;

    public const byte Padding = 0;
    public const byte Undefined = (byte)'_';
    public const byte Null = (byte)'0';
    public const byte True = (byte)'T';
    public const byte False = (byte)'F';
    public const byte Int32 = (byte)'I';
    public const byte Uint32 = (byte)'U';
    public const byte Double = (byte)'N';
    public const byte BigInt = (byte)'Z';
    public const byte Latin1 = (byte)'"';
    public const byte Utf16 = (byte)'c';
    public const byte Utf8 = (byte)'S';
    public const byte Object = (byte)'o';
    public const byte ObjectEnd = (byte)'{';
    public const byte DenseArray = (byte)'A';
    public const byte DenseArrayEnd = (byte)'$';
    public const byte Hole = (byte)'-';
    public const byte SparseArray = (byte)'a';
    public const byte SparseArrayEnd = (byte)'@';
    public const byte Date = (byte)'D';
    public const byte Map = (byte)';';
    public const byte MapEnd = (byte)':';
    public const byte Set = (byte)'\'';
    public const byte SetEnd = (byte)',';
    public const byte RegExp = (byte)'R';
    public const byte ArrayBuffer = (byte)'B';
    public const byte ResizableArrayBuffer = (byte)'~';
    public const byte View = (byte)'V';
    public const byte Error = (byte)'r';
    public const byte ErrorMessage = (byte)'m';
    public const byte ErrorStack = (byte)'s';
    public const byte ErrorCause = (byte)'c';
    public const byte ErrorEnd = (byte)'.';
    public const byte TrueObject = (byte)'y';
    public const byte FalseObject = (byte)'x';
    public const byte NumberObject = (byte)'n';
    public const byte BigIntObject = (byte)'z';
    public const byte StringObject = (byte)'s';
    public const byte Reference = (byte)'^';
    public const byte HostObject = (byte)'\\';
    public const byte ObjectCount = (byte)'?';

    /// <summary>What follows <see cref="HostObject"/> in Deno's dialect; in Node's it is a type of view.</summary>
    public const uint DenoHost = uint.MaxValue;

    /// <summary>An integer-like name of a property is at most this: above it, JavaScript takes it for any name.</summary>
    public const uint LargestIndex = uint.MaxValue - 1;

    private const string ViewLetters = "bBCwWdDhfFqQ?";

    /// <summary>The types of views in the order of <c>v8.serialize</c> of Node; its Buffer (10) is a view of bytes.</summary>
    private static readonly V8ViewType[] NodeViews =
    [
        V8ViewType.Int8, V8ViewType.Uint8, V8ViewType.Uint8Clamped, V8ViewType.Int16, V8ViewType.Uint16, V8ViewType.Int32,
        V8ViewType.Uint32, V8ViewType.Float32, V8ViewType.Float64, V8ViewType.DataView, V8ViewType.Uint8, V8ViewType.BigInt64,
        V8ViewType.BigUint64, V8ViewType.Float16,
    ];

    private static readonly (char Letter, string Name)[] Errors =
    [
        ('E', "EvalError"), ('R', "RangeError"), ('F', "ReferenceError"), ('S', "SyntaxError"), ('T', "TypeError"), ('U', "URIError"),
    ];

    public static V8ViewType? ViewOf(uint letter) =>
        letter < 128 && ViewLetters.IndexOf((char)letter, StringComparison.Ordinal) is >= 0 and var i ? (V8ViewType)i : null;

    public static byte LetterOf(V8ViewType view) => (byte)ViewLetters[(int)view];

    public static V8ViewType? NodeViewOf(uint index) => index < NodeViews.Length ? NodeViews[index] : null;

    public static string? ErrorOf(uint letter) => Array.Find(Errors, e => e.Letter == letter).Name;

    /// <returns>0 for an error without a letter.</returns>
    public static char LetterOf(string error) => Array.Find(Errors, e => e.Name == error).Letter;
}
