using System.Text.Json;

namespace Kv.Merges;

/// <inheritdoc cref="KvMerge.Concat" />
internal sealed class ConcatMerge() : JsonMerge(KvMerge.Concat)
{
    public override string Values => "a JSON string";

    protected override string Operands => "a string";

    protected override bool IsOperand(JsonTokenType kind) => kind == JsonTokenType.String;

    protected override bool IsValue(JsonTokenType kind) => kind == JsonTokenType.String;

    protected override byte[] Begin(ReadOnlyMemory<byte> operand, int depth) => operand.ToArray();

    protected override byte[] Fold(ReadOnlyMemory<byte> present, ReadOnlyMemory<byte> operand, int depth) =>
        [.. present.Span[..^1], .. operand.Span[1..]];
}
