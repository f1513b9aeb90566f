using System.Text.Json;

namespace Kv.Merges;

/// <inheritdoc cref="KvMerge.Append" />
internal sealed class AppendMerge() : JsonMerge(KvMerge.Append)
{
    public override string Values => "a JSON array";

    protected override string Operands => "JSON";

    protected override int Nests => 1;

    protected override bool IsOperand(JsonTokenType kind) => true;

    protected override bool IsValue(JsonTokenType kind) => kind == JsonTokenType.StartArray;

    protected override byte[] Begin(ReadOnlyMemory<byte> operand, int depth) => [(byte)'[', .. operand.Span, (byte)']'];

    protected override byte[] Fold(ReadOnlyMemory<byte> present, ReadOnlyMemory<byte> operand, int depth) =>
        JsonArrays.Add(present.Span, operand.Span);
}
