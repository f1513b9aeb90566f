using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Kv.Messages;

/// <summary>
/// The columns of a message that hold JSON, written and read: the delays before its further attempts, the keys that it names for the case
/// that it cannot be delivered, and its errors. What other programs wrote there is read as far as it means anything.
/// </summary>
internal static class MessageColumns
{
    /// <summary>The delays of a message that names none.</summary>
    public const string DefaultDelays = "[100,1000,5000,30000,60000]";

    /// <summary>The keys of a message that names none.</summary>
    public const string NoKeys = "[]";

    private const int Shown = 100;

    public static string WriteDelays(IEnumerable<TimeSpan> delays) =>
        $"[{string.Join(',', delays.Select(static delay => ((long)delay.TotalMilliseconds).ToString(CultureInfo.InvariantCulture)))}]";

    /// <summary>
    /// The delays before further attempts, as many and as long as a message can be enqueued with; null if the column cannot be read.
    /// </summary>
    public static List<TimeSpan>? ReadDelays(string text)
    {
        try
        {
            // A JSON null stands for an empty list in files of Deno.
            var delays = JsonSerializer.Deserialize(text, MessageJsonContext.Default.ListDouble) ?? [];
            var longest = KvLimits.MaxBackoffInterval.TotalMilliseconds;
            return [.. delays.Take(KvLimits.MaxBackoffIntervals).Select(delay =>
                TimeSpan.FromMilliseconds(double.IsFinite(delay) ? Math.Clamp(delay, 0, longest) : 0))];
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Writes keys, however many, and those of a letter that could not be written too.</summary>
    public static string WriteKeys(IReadOnlyList<byte[]> keys)
    {
        if (keys.Count == 0)
        {
            return NoKeys;
        }

        var text = new StringBuilder("[");
        foreach (var key in keys)
        {
            text.Append(text.Length > 1 ? ",[" : "[").AppendJoin(',', key).Append(']');
        }

        return text.Append(']').ToString();
    }

    /// <summary>Reads the keys of a message.</summary>
    /// <param name="message">The message.</param>
    /// <param name="adopted">Whether it is in a file that Deno made, where nothing of JSON is written.</param>
    public static KeysIfUndelivered ReadKeys(ClaimedMessage message, bool adopted)
    {
        var isJson = adopted && message.Encoding == (int)KvEncoding.Json;
        List<byte[]> good = [];
        List<KvKey> named = [];
        List<string> bad = [];
        try
        {
            using var column = JsonDocument.Parse(message.Undelivered);

            // A JSON null stands for an empty list in files of Deno.
            if (column.RootElement.ValueKind != JsonValueKind.Null)
            {
                foreach (var element in column.RootElement.EnumerateArray())
                {
                    Add(element);
                }
            }
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            bad.Add(Short(message.Undelivered));
        }

        return new(good, named, bad);

        void Add(JsonElement element)
        {
            if (Bytes(element) is not { } key)
            {
                bad.Add(Short(element.GetRawText()));
                return;
            }

            named.Add(KvKey.FromStored(key));
            var rule = key.Length switch
            {
                0 => "an empty key",
                _ when isJson => $"{named[^1]}, since the payload is JSON, which Deno cannot read",
                > KvLimits.MaxKeySize => $"{Short(element.GetRawText())} of {key.Length} bytes, where {KvLimits.MaxKeySize} are allowed",
                _ when !named[^1].IsDecodable => $"{Short(element.GetRawText())}, which is no key",
                _ => null,
            };
            if (rule is null)
            {
                good.Add(key);
            }
            else
            {
                bad.Add(rule);
            }
        }
    }

    public static string WriteError(KvMessageError error) => JsonSerializer.Serialize(error, MessageJsonContext.Default.KvMessageError);

    /// <summary>The error that is kept with a message; null if there is none, or none that was written here.</summary>
    public static KvMessageError? ReadError(string? text)
    {
        try
        {
            return text is null ? null : JsonSerializer.Deserialize(text, MessageJsonContext.Default.KvMessageError);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static byte[]? Bytes(JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.Array)
        {
            return null;
        }

        var key = new byte[element.GetArrayLength()];
        var i = 0;
        foreach (var value in element.EnumerateArray())
        {
            if (value.ValueKind != JsonValueKind.Number || !value.TryGetByte(out key[i++]))
            {
                return null;
            }
        }

        return key;
    }

    private static string Short(string text) => text.Length > Shown ? text[..Shown] + "…" : text;
}
