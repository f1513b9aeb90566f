using System.Data.Common;
using Kv.Sql;

namespace Kv.Feed;

/// <summary>What the change feed is at a moment.</summary>
/// <param name="Version">The store's version.</param>
/// <param name="Oldest">The version after which no change is missing; null where the feed is off.</param>
/// <param name="IsFilled">Whether the triggers are there that fill it.</param>
internal readonly record struct FeedState(long Version, long? Oldest, bool IsFilled)
{
    /// <summary>For how long changes are kept; null for as long as the feed is on.</summary>
    public long? KeepMilliseconds { get; init; }

    /// <summary>How many versions are kept; null for all.</summary>
    public long? KeepVersions { get; init; }

    /// <summary>Whether the feed is on.</summary>
    public bool IsOn => Oldest is not null && IsFilled;

    /// <summary>Reads it from the first columns of a row.</summary>
    public static FeedState Of(DbDataReader row) =>
        new(row.GetInt64(0), row.IsDBNull(1) ? null : row.GetInt64(1), row.GetInt32(2) == 1);
}

/// <summary>Up to where the feed was read: all keys of the versions before, and those of the version up to a key.</summary>
/// <param name="Version">The version.</param>
/// <param name="Key">The key; above all keys where the version was read to its end.</param>
internal readonly record struct FeedPlace(long Version, byte[] Key)
{
    /// <summary>The place after all keys of a version.</summary>
    public static FeedPlace After(long version) => new(version, FeedSql.AboveAllKeys);

    /// <summary>The last version of which something may be missing if no change of the place is to be.</summary>
    public long Needs => ReferenceEquals(Key, FeedSql.AboveAllKeys) ? Version : Version - 1;
}

/// <summary>A key that a commit changed.</summary>
internal readonly record struct FeedRow(long Version, byte[] Key, bool IsDeleted);

/// <summary>What a read of the feed found.</summary>
/// <param name="State">The state of the feed.</param>
/// <param name="Rows">The changes, in the order of versions, then of keys.</param>
/// <param name="IsAhead">Whether something is recorded for a version that is not given out yet.</param>
internal readonly record struct FeedBatch(FeedState State, List<FeedRow> Rows, bool IsAhead)
{
    /// <summary>The last version whose changes it may have.</summary>
    public long Version { get; private init; } = State.Version;

    /// <summary>Whether it was cut, so that there may be more than it has.</summary>
    public bool IsCut => Version < State.Version;

    /// <summary>What it has up to a version.</summary>
    public FeedBatch UpTo(long version) => version >= State.Version
        ? this
        : this with { Rows = Rows.FindAll(row => row.Version <= version), Version = version };
}

/// <summary>What there is to trim.</summary>
/// <param name="Now">What time it is, in Unix milliseconds.</param>
/// <param name="Version">The store's version.</param>
/// <param name="Oldest">The version after which no change is missing.</param>
/// <param name="KeepMilliseconds">For how long changes are kept.</param>
/// <param name="KeepVersions">How many versions are kept.</param>
/// <param name="NotedAt">When the version was last noted; 0 for never.</param>
/// <param name="Outlived">The last version that was noted longer ago than changes are kept.</param>
internal readonly record struct FeedRetention(
    long Now, long Version, long Oldest, long? KeepMilliseconds, long? KeepVersions, long NotedAt, long? Outlived);
