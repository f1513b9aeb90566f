using System.Text.Json;
using Kv.Messages;

namespace Kv.Handling;

/// <summary>The keys that a message names for the case that it cannot be delivered: whatever is wrong with one, the others are written.</summary>
/// <param name="Good">Those that the payload is written under.</param>
/// <param name="Named">All that are keys at all, in their order.</param>
/// <param name="Bad">What is said of those that are not written.</param>
internal sealed record UndeliveredKeys(IReadOnlyList<byte[]> Good, IReadOnlyList<KvKey> Named, IReadOnlyList<string> Bad)
{
    private const int Shown = 100;

    /// <summary>None.</summary>
    public static UndeliveredKeys None { get; } = new([], [], []);

    /// <summary>Reads the column of a message.</summary>
    /// <param name="message">The message.</param>
    /// <param name="adopted">Whether it is in a file that Deno made, where nothing of JSON is written.</param>
    public static UndeliveredKeys Of(ClaimedMessage message, bool adopted)
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
