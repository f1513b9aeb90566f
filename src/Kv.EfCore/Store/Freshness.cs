namespace Kv.Store;

/// <summary>Looks through what a caller says of how fresh a read has to be.</summary>
internal static class Freshness
{
    /// <exception cref="ArgumentException">It is none of the values that there are.</exception>
    public static KvConsistency Of(KvConsistency consistency, string parameter) => Enum.IsDefined(consistency)
        ? consistency
        : throw new ArgumentException($"Consistency is {consistency}; use Strong or Eventual.", parameter);

    /// <summary>Whether a replica may serve the read.</summary>
    public static bool IsEventual(KvReadOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return Of(options.Consistency, nameof(options)) == KvConsistency.Eventual;
    }
}
