using System.Data.Common;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Sql;

namespace Kv.Reads;

/// <summary>Reads rows that are alive now. Each call sees one snapshot.</summary>
internal abstract class StoreReader(ReadRunner runner, Driver driver, StoreClock clock, StoreMetrics metrics)
{
    public virtual ValueTask<Row?> GetAsync(byte[] key, CancellationToken cancellationToken) => GetAloneAsync(key, cancellationToken);

    protected ValueTask<Row?> GetAloneAsync(byte[] key, CancellationToken cancellationToken) =>
        runner.RunAsync(
            (Reader: this, Key: key), static (session, arg, token) => arg.Reader.GetAsync(session, arg.Key, token), cancellationToken);

    public ValueTask<bool> ExistsAsync(byte[] key, CancellationToken cancellationToken) =>
        runner.RunAsync(
            (Reader: this, Key: key),
            static async (session, arg, token) =>
                await session.Statement(session.Sql.Exists).Set("@k", arg.Key).Set("@now", arg.Reader.Now)
                    .ScalarAsync(token).ConfigureAwait(false) is not null,
            cancellationToken);

    public ValueTask<Row?[]> GetManyAsync(IReadOnlyList<byte[]> keys, CancellationToken cancellationToken) =>
        runner.RunAsync(
            (Reader: this, Keys: keys),
            static (session, arg, token) => arg.Reader.GetManyAsync(session, arg.Keys, token),
            cancellationToken);

    public ValueTask<long> CountAsync(byte[] start, byte[] end, CancellationToken cancellationToken) =>
        runner.RunAsync(
            (Reader: this, Start: start, End: end),
            static (session, arg, token) => CountAsync(session, arg.Start, arg.End, arg.Reader.Now, token),
            cancellationToken);

    /// <summary>Of the first keys of a range, that which was written last; null if there is none.</summary>
    public ValueTask<byte[]?> LatestKeyAsync(byte[] start, byte[] end, int limit, CancellationToken cancellationToken) =>
        runner.RunAsync(
            (Reader: this, Start: start, End: end, Limit: limit),
            static async (session, arg, token) =>
            {
                var statement = session.Statement(session.Sql.LatestKey)
                    .Set("@start", arg.Start).Set("@end", arg.End).Set("@limit", arg.Limit).Set("@now", arg.Reader.Now);
                return await statement.ScalarAsync(token).ConfigureAwait(false) as byte[];
            },
            cancellationToken);

    /// <summary>Reads one batch of a range.</summary>
    /// <returns>What became of its rows, and the last key if there may be more.</returns>
    public ValueTask<(List<T> Rows, byte[]? Last)> ListAsync<T>(ListRange range, Func<Row, T> read, CancellationToken cancellationToken) =>
        runner.RunAsync(
            (Reader: this, Range: range, Read: read),
            static (session, arg, token) => arg.Reader.ListAsync(session, arg.Range, arg.Read, arg.Reader.Now, token),
            cancellationToken);

    /// <summary>
    /// Pages through a range in one snapshot, which holds a session and, on SQLite, keeps the log from being recycled, until the end.
    /// </summary>
    /// <param name="range">The range.</param>
    /// <param name="read">What becomes of a row.</param>
    /// <param name="cursorAt">Says where a listing can go on that failed after a key.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async IAsyncEnumerable<List<T>> ListSnapshotAsync<T>(
        ListRange range, Func<Row, T> read, Func<byte[], string> cursorAt, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var interruption = new Interruption(cancellationToken);
        var (session, now, rows, last) = await BeginListAsync(range, read, cancellationToken).ConfigureAwait(false);
        var healthy = false;
        try
        {
            while (true)
            {
                if (rows.Count > 0)
                {
                    yield return rows;
                }

                if (last is null)
                {
                    break;
                }

                var listed = last;
                range = range.After(listed);
                try
                {
                    (rows, last) = await ListAsync(session, range, read, now, interruption.Token).ConfigureAwait(false);
                }
                catch (OperationCanceledException error) when (cancellationToken.IsCancellationRequested)
                {
                    throw new OperationCanceledException(error.Message, error, cancellationToken);
                }
                catch (Exception error) when (runner.Told(error) is var told && told != error)
                {
                    // Its snapshot is gone with its session.
                    session.Blame(error);
                    throw told is KvException failed ? DatabaseErrors.At(failed, cursorAt(listed)) : told;
                }
            }

            await session.ExecuteAsync(KvSql.Commit, CancellationToken.None).ConfigureAwait(false);
            healthy = true;
        }
        finally
        {
            await runner.ReturnAsync(session, healthy).ConfigureAwait(false);
        }
    }

    private ValueTask<(Session Session, long Now, List<T> Rows, byte[]? Last)> BeginListAsync<T>(
        ListRange range, Func<Row, T> read, CancellationToken cancellationToken) =>
        runner.RunAsync(
            (Reader: this, Range: range, Read: read),
            static async (session, arg, token) =>
            {
                await session.ExecuteAsync(arg.Reader.BeginSnapshot, token).ConfigureAwait(false);
                var now = arg.Reader.Now;
                var (rows, last) = await arg.Reader.ListAsync(session, arg.Range, arg.Read, now, token).ConfigureAwait(false);
                return (session, now, rows, last);
            },
            cancellationToken,
            keep: true);

    /// <summary>Begins a transaction that reads one version.</summary>
    /// <param name="longest">How long it may last.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public ValueTask<ReadSnapshot> BeginAsync(TimeSpan longest, CancellationToken cancellationToken) =>
        runner.RunAsync(
            (Reader: this, Runner: runner, Longest: longest),
            static async (session, arg, token) =>
            {
                await session.ExecuteAsync(arg.Reader.BeginSnapshot, token).ConfigureAwait(false);
                var now = arg.Reader.Now;
                var version = await session.Statement(session.Sql.Version).ScalarAsync(token).ConfigureAwait(false);
                return new ReadSnapshot(
                    arg.Runner, session, now, Convert.ToInt64(version, CultureInfo.InvariantCulture), arg.Longest, arg.Reader.Clock.Time);
            },
            cancellationToken,
            keep: true);

    /// <summary>The rows of some keys of a snapshot, in their order.</summary>
    public ValueTask<Row?[]> GetManyAsync(ReadSnapshot snapshot, IReadOnlyList<byte[]> keys, CancellationToken cancellationToken) =>
        snapshot.ReadAsync(
            (Reader: this, Keys: keys, snapshot.Now),
            static (session, arg, token) => arg.Reader.ReadManyAsync(session, arg.Keys, arg.Now, token),
            cancellationToken);

    /// <summary>Reads one batch of a range of a snapshot.</summary>
    /// <returns>What became of its rows, and the last key if there may be more.</returns>
    public ValueTask<(List<T> Rows, byte[]? Last)> ListAsync<T>(
        ReadSnapshot snapshot, ListRange range, Func<Row, T> read, CancellationToken cancellationToken) =>
        snapshot.ReadAsync(
            (Reader: this, Range: range, Read: read, snapshot.Now),
            static (session, arg, token) => arg.Reader.ListAsync(session, arg.Range, arg.Read, arg.Now, token),
            cancellationToken);

    /// <summary>How many live rows a range of a snapshot has.</summary>
    public static ValueTask<long> CountAsync(ReadSnapshot snapshot, KvRange range, CancellationToken cancellationToken) =>
        snapshot.ReadAsync(
            (range.Start, range.End, snapshot.Now),
            static (session, arg, token) => CountAsync(session, arg.Start, arg.End, arg.Now, token),
            cancellationToken);

    public ValueTask<long> VersionAsync(CancellationToken cancellationToken) =>
        runner.RunAsync(
            this,
            static async (session, _, token) =>
                Convert.ToInt64(
                    await session.Statement(session.Sql.Version).ScalarAsync(token).ConfigureAwait(false), CultureInfo.InvariantCulture),
            cancellationToken);

    /// <summary>The rows of some keys together with the store's version, all of one snapshot.</summary>
    public ValueTask<(Row?[] Rows, long Version)> GetWithVersionAsync(IReadOnlyList<byte[]> keys, CancellationToken cancellationToken) =>
        runner.RunAsync(
            (Reader: this, Keys: keys),
            static async (session, arg, token) =>
            {
                await session.ExecuteAsync(arg.Reader.BeginSnapshot, token).ConfigureAwait(false);
                var version = Convert.ToInt64(
                    await session.Statement(session.Sql.Version).ScalarAsync(token).ConfigureAwait(false), CultureInfo.InvariantCulture);
                var rows = await arg.Reader.ReadManyAsync(session, arg.Keys, arg.Reader.Now, token).ConfigureAwait(false);
                await session.ExecuteAsync(KvSql.Commit, CancellationToken.None).ConfigureAwait(false);
                return (rows, version);
            },
            cancellationToken);

    /// <summary>What time it is, and when the first entry expires, in Unix milliseconds; and whether the change feed is on.</summary>
    public ValueTask<(long Now, long? Expiry, bool HasFeed)> NextExpiryAsync(CancellationToken cancellationToken) =>
        runner.RunAsync(
            this,
            static async (session, own, token) =>
            {
                var reader = await session.Statement(session.Sql.NextExpiry).Set("@now", own.Now).ReadAsync(token).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    await reader.ReadAsync(token).ConfigureAwait(false);
                    var now = reader.GetInt64(0);
                    own.Clock.Learn(now);
                    return (now, reader.IsDBNull(1) ? (long?)null : reader.GetInt64(1), reader.GetInt64(2) > 0);
                }
            },
            cancellationToken);

    /// <summary>What time it is, asked of the server if its clock decides.</summary>
    public async ValueTask<DateTimeOffset> UtcNowAsync(CancellationToken cancellationToken)
    {
        if (ServerClock)
        {
            await runner.RunAsync(
                this,
                static async (session, own, token) =>
                {
                    var now = await session.Statement(own.Clock.ServerTime!).ScalarAsync(token).ConfigureAwait(false);
                    own.Clock.Learn(Convert.ToInt64(now, CultureInfo.InvariantCulture));
                    return true;
                },
                cancellationToken).ConfigureAwait(false);
        }

        return Clock.UtcNow;
    }

    /// <param name="limit">How many at most.</param>
    /// <param name="now">The time by which they are, where no server's clock decides.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public ValueTask<List<byte[]>> ExpiredAsync(int limit, long now, CancellationToken cancellationToken) =>
        runner.RunAsync(
            (Reader: this, Limit: limit, Now: now),
            static async (session, arg, token) =>
            {
                List<byte[]> keys = [];
                var statement = session.Statement(session.Sql.Expired).Set("@now", arg.Now).Set("@limit", arg.Limit);
                var reader = await statement.ReadAsync(token).ConfigureAwait(false);
                await using (reader.ConfigureAwait(false))
                {
                    while (await reader.ReadAsync(token).ConfigureAwait(false))
                    {
                        keys.Add(reader.GetFieldValue<byte[]>(0));
                    }
                }

                return keys;
            },
            cancellationToken);

    private StoreClock Clock { get; } = clock;

    protected bool ServerClock => Clock.ServerDecides;

    // Where the server's clock decides, no statement asks for it.
    protected long Now => ServerClock ? 0 : Clock.Now;

    protected string BeginSnapshot => driver.Sql.BeginSnapshot;

    private async ValueTask<Row?> GetAsync(Session session, byte[] key, CancellationToken cancellationToken)
    {
        var reader = await session.Statement(session.Sql.Get).Set("@k", key).Set("@now", Now)
            .ReadAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            return await reader.ReadAsync(cancellationToken).ConfigureAwait(false)
                ? new Row(key, reader.GetFieldValue<byte[]>(0), reader.GetInt32(1), reader.GetInt64(2))
                : null;
        }
    }

    /// <summary>The rows of some keys, all of one snapshot, in their order.</summary>
    protected abstract ValueTask<Row?[]> GetManyAsync(Session session, IReadOnlyList<byte[]> keys, CancellationToken cancellationToken);

    /// <summary>The same within a transaction that is a snapshot.</summary>
    protected abstract ValueTask<Row?[]> ReadManyAsync(
        Session session, IReadOnlyList<byte[]> keys, long now, CancellationToken cancellationToken);

    private static async ValueTask<long> CountAsync(
        Session session, byte[] start, byte[] end, long now, CancellationToken cancellationToken) => Convert.ToInt64(
            await session.Statement(session.Sql.Count).Set("@start", start).Set("@end", end).Set("@now", now)
                .ScalarAsync(cancellationToken).ConfigureAwait(false),
            CultureInfo.InvariantCulture);

    private async ValueTask<(List<T> Rows, byte[]? Last)> ListAsync<T>(
        Session session, ListRange range, Func<Row, T> read, long now, CancellationToken cancellationToken)
    {
        using var span = KvTracing.Start("list", metrics.Store);
        var since = Stopwatch.GetTimestamp();
        Exception? failure = null;
        try
        {
            var batch = await ReadBatchAsync(session, range, read, now, cancellationToken).ConfigureAwait(false);
            span?.SetTag("db.response.returned_rows", batch.Rows.Count);
            return batch;
        }
        catch (Exception error)
        {
            failure = error;
            span?.Fail(error);
            throw;
        }
        finally
        {
            metrics.Called("list", since, failure);
        }
    }

    private static async ValueTask<(List<T> Rows, byte[]? Last)> ReadBatchAsync<T>(
        Session session, ListRange range, Func<Row, T> read, long now, CancellationToken cancellationToken)
    {
        var list = (range.KeysOnly, range.Reverse) switch
        {
            (false, false) => session.Sql.ListForward,
            (false, true) => session.Sql.ListReverse,
            (true, false) => session.Sql.KeysForward,
            (true, true) => session.Sql.KeysReverse,
        };
        var rows = new List<T>(Math.Min(range.Limit, KvLimits.MaxDefaultBatchSize));
        byte[]? last = null;
        var statement = session.Statement(list).Set("@start", range.Start).Set("@end", range.End).Set("@limit", range.Limit)
            .Set("@now", now);
        var reader = await statement.ReadAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                var row = ReadRow(reader, range.KeysOnly);
                rows.Add(read(row));
                last = row.Key;
            }
        }

        return (rows, rows.Count < range.Limit ? null : last);
    }

    protected static Row ReadRow(DbDataReader reader, bool keysOnly) => keysOnly
        ? new Row(reader.GetFieldValue<byte[]>(0), [], 0, 0)
        : new Row(reader.GetFieldValue<byte[]>(0), reader.GetFieldValue<byte[]>(1), reader.GetInt32(2), reader.GetInt64(3));
}

/// <summary>A row of the store.</summary>
internal readonly record struct Row(byte[] Key, byte[] Value, int Encoding, long Version);

/// <summary>What one batch of a listing reads.</summary>
internal readonly record struct ListRange(byte[] Start, byte[] End, bool Reverse, int Limit, bool KeysOnly)
{
    /// <summary>The range that is left after a key: above it, or below it in reverse.</summary>
    public ListRange After(byte[] key) => Reverse ? this with { End = key } : this with { Start = [.. key, 0] };
}
