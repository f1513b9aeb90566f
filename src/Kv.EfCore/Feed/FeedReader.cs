using Kv.Connections;
using Kv.Sql;

namespace Kv.Feed;

/// <summary>Reads the change feed, and what it is compared with where it is off. Each call sees one snapshot.</summary>
/// <param name="runner">Runs the reads on the store's own database, never on a replica.</param>
/// <param name="driver">The database.</param>
/// <param name="clock">The store's clock.</param>
internal sealed class FeedReader(ReadRunner runner, Driver driver, StoreClock clock)
{
    private FeedSql Sql => driver.Sql.Feed;

    // Where the server's clock decides, no statement asks for it.
    private long Now => clock.ServerDecides ? 0 : clock.Now;

    /// <summary>The state of the feed.</summary>
    public ValueTask<FeedState> StateAsync(CancellationToken cancellationToken) =>
        runner.RunAsync(
            this,
            static async (session, own, token) =>
            {
                var reader = await session.Statement(own.Sql.State).ReadAsync(token).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    await reader.ReadAsync(token).ConfigureAwait(false);
                    return FeedState.Of(reader) with { KeepMilliseconds = NumberAt(reader, 3), KeepVersions = NumberAt(reader, 4) };
                }
            },
            cancellationToken);

    /// <summary>The changes of a range after a place, up to a number of them.</summary>
    public ValueTask<FeedBatch> FollowAsync(FeedPlace place, byte[] start, byte[] end, int limit, CancellationToken cancellationToken) =>
        runner.RunAsync(
            (Own: this, Place: place, Start: start, End: end, Limit: limit),
            static async (session, arg, token) =>
            {
                var statement = session.Statement(arg.Own.Sql.Follow).Set("@version", arg.Place.Version).Set("@key", arg.Place.Key)
                    .Set("@start", arg.Start).Set("@end", arg.End).Set("@limit", arg.Limit);
                List<FeedRow> rows = [];
                FeedState state = default;
                var isAhead = false;
                var reader = await statement.ReadAsync(token).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    while (await reader.ReadAsync(token).ConfigureAwait(false))
                    {
                        (state, isAhead) = (FeedState.Of(reader), reader.GetInt32(3) == 1);
                        if (!reader.IsDBNull(4))
                        {
                            rows.Add(new FeedRow(reader.GetInt64(4), reader.GetFieldValue<byte[]>(5), reader.GetInt32(6) != 0));
                        }
                    }
                }

                return new FeedBatch(state, rows, isAhead);
            },
            cancellationToken);

    /// <summary>The state of the feed, and the keys of a range with their versions, up to a number of them.</summary>
    public ValueTask<(FeedState State, Dictionary<byte[], long> Versions)> VersionsAsync(
        byte[] start, byte[] end, int limit, CancellationToken cancellationToken) =>
        runner.RunAsync(
            (Own: this, Start: start, End: end, Limit: limit),
            static async (session, arg, token) =>
            {
                await session.ExecuteAsync(session.Sql.BeginSnapshot, token).ConfigureAwait(false);
                FeedState state;
                var first = await session.Statement(arg.Own.Sql.State).ReadAsync(token).ConfigureAwait(false);
                await using (first.ConfigureAwait(false))
                {
                    await first.ReadAsync(token).ConfigureAwait(false);
                    state = FeedState.Of(first);
                }

                var versions = new Dictionary<byte[], long>(Keys.KeyComparer.Instance);
                var statement = session.Statement(arg.Own.Sql.Versions).Set("@start", arg.Start).Set("@end", arg.End)
                    .Set("@limit", arg.Limit).Set("@now", arg.Own.Now);
                var reader = await statement.ReadAsync(token).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    while (await reader.ReadAsync(token).ConfigureAwait(false))
                    {
                        versions.Add(reader.GetFieldValue<byte[]>(0), reader.GetInt64(1));
                    }
                }

                await session.ExecuteAsync(KvSql.Commit, CancellationToken.None).ConfigureAwait(false);
                return (state, versions);
            },
            cancellationToken);

    /// <summary>What there is to trim; null where the feed is off.</summary>
    public ValueTask<FeedRetention?> RetentionAsync(CancellationToken cancellationToken) =>
        runner.RunAsync(
            this,
            static async (session, own, token) =>
            {
                var reader = await session.Statement(own.Sql.Retention).Set("@now", own.Now).ReadAsync(token).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    return await reader.ReadAsync(token).ConfigureAwait(false)
                        ? new FeedRetention(
                            reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), NumberAt(reader, 3), NumberAt(reader, 4),
                            reader.GetInt64(5), NumberAt(reader, 6))
                        : (FeedRetention?)null;
                }
            },
            cancellationToken);

    private static long? NumberAt(System.Data.Common.DbDataReader reader, int column) =>
        reader.IsDBNull(column) ? null : reader.GetInt64(column);
}
