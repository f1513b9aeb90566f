using Kv.Connections;
using Kv.Diagnostics;
using Kv.Keys;
using Kv.Reads;

namespace Kv.PostgreSql;

/// <summary>Reads many keys by an array, and gets of many callers together: the database is a round trip away.</summary>
internal sealed class PostgreSqlReader : StoreReader
{
    private readonly PostgreSqlSql _sql;
    private readonly GetCoalescer _coalescer;

    public PostgreSqlReader(ReadRunner runner, PostgreSqlDriver driver, StoreClock clock, StoreMetrics metrics)
        : base(runner, driver, clock, metrics)
    {
        _sql = driver.Sql;
        _coalescer = new GetCoalescer(key => GetAloneAsync(key, default), keys => GetManyAsync(keys, default));
    }

    public override ValueTask<Row?> GetAsync(byte[] key, CancellationToken cancellationToken) => _coalescer.GetAsync(key, cancellationToken);

    protected override ValueTask<Row?[]> GetManyAsync(Session session, IReadOnlyList<byte[]> keys, CancellationToken cancellationToken) =>
        ReadManyAsync(session, keys, Now, cancellationToken);

    protected override async ValueTask<Row?[]> ReadManyAsync(
        Session session, IReadOnlyList<byte[]> keys, long now, CancellationToken cancellationToken)
    {
        var found = new Dictionary<byte[], Row>(KeyComparer.Instance);
        var reader = await session.Statement(_sql.GetMany).Set("@keys", keys.ToArray()).Set("@now", now).ReadAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                var row = ReadRow(reader, keysOnly: false);
                found[row.Key] = row;
            }
        }

        var rows = new Row?[keys.Count];
        for (var i = 0; i < rows.Length; i++)
        {
            rows[i] = found.TryGetValue(keys[i], out var row) ? row : null;
        }

        return rows;
    }
}
