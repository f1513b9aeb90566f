using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Kv.Merges;

/// <inheritdoc cref="KvMerge.MergePatch" />
internal sealed class PatchMerge() : JsonMerge(KvMerge.MergePatch)
{
    public override string Values => "JSON";

    protected override string Operands => "JSON";

    protected override bool IsOperand(JsonTokenType kind) => true;

    protected override bool IsValue(JsonTokenType kind) => true;

    protected override byte[] Begin(ReadOnlyMemory<byte> operand, int depth) => Patch(null, operand, depth);

    protected override byte[] Fold(ReadOnlyMemory<byte> present, ReadOnlyMemory<byte> operand, int depth)
    {
        using var target = JsonDocument.Parse(present, new JsonDocumentOptions { MaxDepth = depth });
        return Patch(target.RootElement, operand, depth);
    }

    private static byte[] Patch(JsonElement? target, ReadOnlyMemory<byte> operand, int depth)
    {
        using var patch = JsonDocument.Parse(operand, new JsonDocumentOptions { MaxDepth = depth });
        var buffer = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(
            buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = depth });
        Write(writer, target, patch.RootElement);
        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>RFC 7396, section 2.</summary>
    private static void Write(Utf8JsonWriter writer, JsonElement? target, JsonElement patch)
    {
        if (patch.ValueKind != JsonValueKind.Object)
        {
            patch.WriteTo(writer);
            return;
        }

        var changes = new OrderedDictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var change in patch.EnumerateObject())
        {
            changes[change.Name] = change.Value;
        }

        writer.WriteStartObject();
        foreach (var (name, value) in Members(target))
        {
            if (!changes.Remove(name, out var change))
            {
                writer.WritePropertyName(name);
                value.WriteTo(writer);
            }
            else if (change.ValueKind != JsonValueKind.Null)
            {
                writer.WritePropertyName(name);
                Write(writer, value, change);
            }
        }

        foreach (var (name, change) in changes)
        {
            if (change.ValueKind != JsonValueKind.Null)
            {
                writer.WritePropertyName(name);
                Write(writer, target: null, change);
            }
        }

        writer.WriteEndObject();
    }

    /// <summary>The members of an object, of which each name has one, as what reads JSON sees them.</summary>
    private static OrderedDictionary<string, JsonElement> Members(JsonElement? target)
    {
        var members = new OrderedDictionary<string, JsonElement>(StringComparer.Ordinal);
        if (target is { ValueKind: JsonValueKind.Object } of)
        {
            foreach (var member in of.EnumerateObject())
            {
                members[member.Name] = member.Value;
            }
        }

        return members;
    }
}
