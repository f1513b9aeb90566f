using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Kv.Messages;

namespace Kv.Control;

/// <summary>A dead letter as JSON. A payload that is JSON itself stays readable; any other is base64 with its encoding.</summary>
internal static class DeadLetterFormat
{
    // Within a letter a payload is one level deeper, and readers go 64 levels deep.
    private static readonly JsonDocumentOptions Payload = new() { MaxDepth = 60 };

    // As payloads are written: escapes would make a payload in another language unreadable, and another payload.
    private static readonly JsonWriterOptions Relaxed = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static byte[] Write(KvDeadLetter letter)
    {
        var json = new JsonObject
        {
            ["id"] = letter.Id,
            ["topic"] = letter.Topic,
            ["type"] = letter.Type,
            ["reason"] = letter.Reason,
            ["attempts"] = letter.Attempts,
            ["crashes"] = letter.Crashes,
            ["firstError"] = Node(letter.FirstError),
            ["lastError"] = Node(letter.LastError),
            ["enqueuedAt"] = letter.EnqueuedAt,
            ["diedAt"] = letter.DiedAt,
            ["priority"] = letter.Priority,
            ["groupKey"] = letter.GroupKey,
            ["groupLimit"] = letter.GroupLimit,
            ["rateKey"] = letter.RateKey,
            ["scope"] = letter.Scope is { } scope ? Convert.ToBase64String(scope.Bytes) : null,
            ["keysIfUndelivered"] = new JsonArray(
                [.. letter.KeysIfUndelivered.Select(static key => JsonValue.Create(Convert.ToBase64String(key.Bytes)))]),
            ["trace"] = letter.Trace,
            ["encoding"] = (int)letter.Payload.Encoding,
        };
        if (letter.Payload.Encoding == KvEncoding.Json && TryParse(letter.Payload.Array, out var payload))
        {
            json["payload"] = payload;
        }
        else
        {
            json["data"] = Convert.ToBase64String(letter.Payload.Array);
        }

        return Utf8(json);
    }

    /// <summary>Reads a letter; null if the entry is not one.</summary>
    public static KvDeadLetter? Read(KvEntry entry)
    {
        try
        {
            return entry.Value.Encoding is KvEncoding.Json or KvEncoding.Bytes && JsonNode.Parse(entry.Value.Array) is JsonObject json
                ? Read(json, entry)
                : null;
        }
        catch (Exception error)
            when (error is JsonException or FormatException or InvalidOperationException or KeyNotFoundException or ArgumentException)
        {
            return null;
        }
    }

    private static KvDeadLetter Read(JsonObject json, KvEntry entry)
    {
        var encoding = (KvEncoding)Required("encoding").GetValue<int>();
        return new KvDeadLetter
        {
            Id = Required("id").GetValue<string>(),
            Topic = Required("topic").GetValue<string>(),
            Type = Required("type").GetValue<string>(),
            Reason = Required("reason").GetValue<string>(),
            Payload = json.ContainsKey("data")
                ? new KvValue(Convert.FromBase64String(Required("data").GetValue<string>()), encoding)
                : new KvValue(Utf8(json["payload"]), encoding),
            Attempts = Required("attempts").GetValue<int>(),
            Crashes = Required("crashes").GetValue<int>(),
            FirstError = Error(json["firstError"]),
            LastError = Error(json["lastError"]),
            EnqueuedAt = Required("enqueuedAt").GetValue<DateTimeOffset>(),
            DiedAt = Required("diedAt").GetValue<DateTimeOffset>(),
            Priority = Required("priority").GetValue<int>(),
            GroupKey = json["groupKey"]?.GetValue<string>(),
            GroupLimit = Required("groupLimit").GetValue<int>(),
            RateKey = json["rateKey"]?.GetValue<string>(),
            Scope = json["scope"]?.GetValue<string>() is { } scope ? KvKey.FromStored(Convert.FromBase64String(scope)) : null,
            KeysIfUndelivered =
            [
                .. Required("keysIfUndelivered").AsArray()
                    .Select(static key => KvKey.FromStored(Convert.FromBase64String(key!.GetValue<string>()))),
            ],
            Trace = json["trace"]?.GetValue<string>(),
            Entry = entry,
        };

        JsonNode Required(string name) => json[name] ?? throw new KeyNotFoundException(name);
    }

    private static byte[] Utf8(JsonNode? node)
    {
        var utf8 = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(utf8, Relaxed))
        {
            if (node is null)
            {
                writer.WriteNullValue();
            }
            else
            {
                node.WriteTo(writer);
            }
        }

        return utf8.WrittenSpan.ToArray();
    }

    private static JsonNode? Node(KvMessageError? error) =>
        error is null ? null : JsonSerializer.SerializeToNode(error, MessageJsonContext.Default.KvMessageError);

    private static KvMessageError? Error(JsonNode? node) => node.Deserialize(MessageJsonContext.Default.KvMessageError);

    private static bool TryParse(byte[] utf8, out JsonNode? node)
    {
        try
        {
            node = JsonNode.Parse(utf8, documentOptions: Payload);

            // Replayed, the payload must be what it was: numbers and texts may be written in more than one way.
            return Utf8(node).AsSpan().SequenceEqual(utf8);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            // An escape of half a surrogate pair is JSON, and no text.
            node = null;
            return false;
        }
    }
}
