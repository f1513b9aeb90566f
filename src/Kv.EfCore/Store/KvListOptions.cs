namespace Kv;

/// <summary>How a range is listed.</summary>
public sealed record KvListOptions
{
    /// <summary>The most entries to return.</summary>
    /// <value>Default: null, all of them.</value>
    public int? Limit { get; init; }

    /// <summary>Whether to list from the end of the range downwards. What start and end mean does not change.</summary>
    public bool Reverse { get; init; }

    /// <summary>Where a former listing of the same selector stopped.</summary>
    /// <value>
    /// Default: null; an empty text means the same. Otherwise that of a <see cref="KvPage"/>, or of <see cref="KvRange.CursorAt"/> or
    /// Deno KV. One of a page of another selector, and one that names an entry outside of the range, is refused with an <see cref="ArgumentException"/>.
    /// </value>
    public string? Cursor { get; init; }

    /// <summary>Entries read at once.</summary>
    /// <value>Default: the limit, or 100 without one; at most 500. Explicitly up to <see cref="KvStoreOptions.MaxReadEntries"/>.</value>
    public int? BatchSize { get; init; }

    /// <summary>Whether all batches are of one snapshot.</summary>
    /// <remarks>
    /// The snapshot holds a connection until the listing ends, and until then the database cannot recycle what was overwritten since: SQLite's
    /// write-ahead log grows, PostgreSQL keeps dead rows. Consume it quickly.
    /// </remarks>
    public bool Snapshot { get; init; }

    /// <summary>How fresh its batches have to be. Each is served by the replica, or by the store's own database, for itself.</summary>
    /// <value>Default: <see cref="KvConsistency.Strong"/>.</value>
    public KvConsistency Consistency { get; init; }
}
