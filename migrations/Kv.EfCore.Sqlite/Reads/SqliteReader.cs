using Kv.Connections;
using Kv.Diagnostics;
using Kv.Reads;
using Kv.Sql;

namespace Kv.Sqlite;

/// <summary>Reads many keys by a parameter for each: one statement for each number of keys is prepared.</summary>
internal sealed class SqliteReader(ReadRunner runner, SqliteDriver driver, StoreClock clock, StoreMetrics metrics)
    : StoreReader(runner, driver, clock, metrics)
{
    private const int ManyAtOnce = 32;

    private static readonly string[] KeyParameters = [.. Enumerable.Range(0, ManyAtOnce).Select(SqliteSql.KeyParameter)];
    private readonly string[] _texts = [.. Enumerable.Range(1, ManyAtOnce).Select(driver.Sql.GetMany)];

    protected override async ValueTask<Row?[]> GetManyAsync(Session session, IReadOnlyList<byte[]> keys, CancellationToken cancellationToken)
    {
        if (keys.Count <= ManyAtOnce)
        {
            return await ReadManyAsync(session, keys, Now, cancellationToken).ConfigureAwait(false);
        }

        await session.ExecuteAsync(BeginSnapshot, cancellationToken).ConfigureAwait(false);
        var rows = await ReadManyAsync(session, keys, Now, cancellationToken).ConfigureAwait(false);
        await session.ExecuteAsync(KvSql.Commit, CancellationToken.None).ConfigureAwait(false);
        return rows;
    }

    protected override async ValueTask<Row?[]> ReadManyAsync(
        Session session, IReadOnlyList<byte[]> keys, long now, CancellationToken cancellationToken)
    {
        var rows = new Row?[keys.Count];
        for (var first = 0; first < rows.Length; first += ManyAtOnce)
        {
            var count = Math.Min(ManyAtOnce, rows.Length - first);
            var statement = session.Statement(_texts[count - 1]).Set("@now", now);
            for (var i = 0; i < count; i++)
            {
                statement.Set(KeyParameters[i], keys[first + i]);
            }

            var reader = await statement.ReadAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    var position = first + reader.GetInt32(0) - 1;
                    rows[position] = new Row(keys[position], reader.GetFieldValue<byte[]>(1), reader.GetInt32(2), reader.GetInt64(3));
                }
            }
        }

        return rows;
    }
}
