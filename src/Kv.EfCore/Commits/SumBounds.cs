namespace Kv.Commits;

/// <param name="Delta">What is added; may be negative.</param>
/// <param name="Min">The least result.</param>
/// <param name="Max">The greatest result.</param>
/// <param name="Clamp">Whether a result outside is drawn to the bound; otherwise the write fails.</param>
internal sealed record SumBounds(long Delta, ulong Min, ulong Max, bool Clamp);
