using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Kv.Merges;

/// <inheritdoc cref="KvMerge.Union" />
internal sealed class UnionMerge() : JsonMerge(KvMerge.Union)
{
    private static readonly byte[] Empty = "[]"u8.ToArray();

    public override string Values => "a JSON array";

    protected override string Operands => "a list";

    protected override bool IsOperand(JsonTokenType kind) => kind == JsonTokenType.StartArray;

    protected override bool IsValue(JsonTokenType kind) => kind == JsonTokenType.StartArray;

    protected override byte[] Begin(ReadOnlyMemory<byte> operand, int depth) => Fold(Empty, operand, depth);

    protected override byte[] Fold(ReadOnlyMemory<byte> present, ReadOnlyMemory<byte> operand, int depth)
    {
        var options = new JsonDocumentOptions { MaxDepth = depth };
        using var stored = JsonDocument.Parse(present, options);
        using var added = JsonDocument.Parse(operand, options);
        var known = stored.RootElement.EnumerateArray().ToHashSet(JsonElementComparer.Instance);
        var news = new ArrayBufferWriter<byte>();
        foreach (var element in added.RootElement.EnumerateArray())
        {
            if (known.Add(element))
            {
                news.Write(news.WrittenCount == 0 ? [] : ","u8);
                news.Write(JsonMarshal.GetRawUtf8Value(element));
            }
        }

        return news.WrittenCount == 0 ? present.ToArray() : JsonArrays.Add(present.Span, news.WrittenSpan);
    }
}
