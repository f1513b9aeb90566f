using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Serialization;
using Kv.Keys;

namespace Kv;

/// <summary>Names one write, so that a store can be asked later whether it was committed. Opaque: keep it, print it, parse it.</summary>
[StructLayout(LayoutKind.Auto)]
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(OperationIdConverter))]
public readonly record struct KvOperationId : IParsable<KvOperationId>
{
    internal KvOperationId(long writer, long sequence, int versionOffset)
    {
        (Writer, Sequence, VersionOffset) = (writer, sequence, versionOffset);
    }

    internal long Writer { get; }

    internal long Sequence { get; }

    internal int VersionOffset { get; }

    /// <summary>Reads the text that <see cref="ToString"/> gives.</summary>
    /// <exception cref="FormatException">The text is something else.</exception>
    public static KvOperationId Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return TryParse(text, out var id)
            ? id
            : throw new FormatException(
                $"The text of {text.Length} characters is not an operation id. Pass one unchanged, such as 1f-2a-0.");
    }

    /// <summary>Reads the text that <see cref="ToString"/> gives; false when the text is something else.</summary>
    public static bool TryParse([NotNullWhen(true)] string? text, out KvOperationId id)
    {
        id = default;
        var rest = text.AsSpan();
        var first = rest.IndexOf('-');
        var last = rest.LastIndexOf('-');
        if (first == last
            || !long.TryParse(rest[..first], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var writer)
            || !long.TryParse(rest[(first + 1)..last], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var sequence)
            || !int.TryParse(rest[(last + 1)..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var versionOffset))
        {
            return false;
        }

        id = new(writer, sequence, versionOffset);
        return true;
    }

    static KvOperationId IParsable<KvOperationId>.Parse(string s, IFormatProvider? provider) => Parse(s);

    static bool IParsable<KvOperationId>.TryParse([NotNullWhen(true)] string? s, IFormatProvider? provider, out KvOperationId result) =>
        TryParse(s, out result);

    /// <summary>The id as text, which names the write on any process that uses the store.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Writer:x}-{Sequence:x}-{VersionOffset:x}");
}
