using Kv.Merges;

namespace Kv.Commits;

/// <param name="Kind">What is done.</param>
/// <param name="Key">The key, or the start of a range.</param>
internal readonly record struct Mutation(MutationKind Kind, byte[] Key)
{
    /// <summary>The exclusive end of a range.</summary>
    public byte[] End { get; init; } = [];

    public byte[] Value { get; init; } = [];

    public int Encoding { get; init; }

    /// <summary>Milliseconds from the write to its expiry; -1 for never.</summary>
    public long ExpireIn { get; init; } = -1;

    /// <summary>The operand of a counter.</summary>
    public ulong Operand { get; init; }

    public SumBounds? Bounds { get; init; }

    /// <summary>How the value of the mutation, an operand, is folded into that of the key.</summary>
    public MergeStep? Merge { get; init; }
}
