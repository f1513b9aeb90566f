namespace Kv;

/// <summary>How something is read.</summary>
/// <remarks>
/// Writes, checks, watches, <see cref="IKvStore.TransactAsync{T}"/> and reads of <c>db.Kv()</c> are strong always: a check that was read
/// from a replica fails more often, and is never wrong. Listings have <see cref="KvListOptions.Consistency"/>.
/// </remarks>
public sealed record KvReadOptions
{
    /// <summary>Sees every commit that was answered before the read began. So does a read without options.</summary>
    public static KvReadOptions Strong { get; } = new();

    /// <summary>May miss the last commits, and leaves the load to a replica where there is one.</summary>
    public static KvReadOptions Eventual { get; } = new() { Consistency = KvConsistency.Eventual };

    /// <summary>How fresh it has to be.</summary>
    /// <value>Default: <see cref="KvConsistency.Strong"/>.</value>
    public KvConsistency Consistency { get; init; }
}
