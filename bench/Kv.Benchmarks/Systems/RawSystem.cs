namespace Kv.Benchmarks.Systems;

/// <summary>The floor: the driver with prepared commands on the same tables, one transaction per write, a pool of connections.</summary>
/// <param name="connections">How many there are at most; a pool of a user's own would have an end too. Callers wait for one that is free.</param>
public sealed class RawSystem(Target target, int connections = 64) : KeyValueSystem
{
    private const string Get = "select v, v_encoding, version from kv where k = @k";
    private const string GetTen = "select k, v, v_encoding, version from kv where k in (@k0, @k1, @k2, @k3, @k4, @k5, @k6, @k7, @k8, @k9)";

    private readonly RawPool _connections = new(target, connections);

    public override async Task SetUpAsync(int rows)
    {
        await using var store = new EfKvSystem(target);
        await store.SetUpAsync(rows);
    }

    public override async Task OpenAsync() => await GetAsync(0);

    public override ValueTask GetAsync(long row) => RunAsync(async connection => await connection.ReadAsync(Get, KeyOf(row)));

    public override ValueTask GetTenAsync(long row, int step) => RunAsync(async connection =>
    {
        var keys = Enumerable.Range(0, 10).Select(i => KeyOf(row + (i * (long)step))).ToArray();
        await RawConnection.ReadAllAsync(target.IsSqlite
            ? connection.Command(GetTen, [.. keys.Select(static (key, i) => ($"@k{i}", (object)key))])
            : connection.Command("select k, v, v_encoding, version from kv where k = any(@keys)", ("@keys", keys)));
    });

    public override async ValueTask<int> ListAsync(long from, int count)
    {
        var found = 0;
        await RunAsync(async connection => found = await RawConnection.ReadAllAsync(connection.Command(
            "select k, v, v_encoding, version from kv where k >= @k order by k limit @n", ("@k", KeyOf(from)), ("@n", count))));
        return found;
    }

    public override ValueTask SetAsync(long row) => WriteAsync((connection, version) => connection.SetAsync(KeyOf(row), Value, 3, version));

    public override ValueTask CheckAndSetAsync(long row) => RunAsync(async connection =>
    {
        var key = KeyOf(row);
        var seen = (await connection.ReadAsync(Get, key)).Version;
        await WriteAsync(connection, async (_, version) =>
        {
            if ((await connection.ReadAsync(Get, key)).Version == seen)
            {
                await connection.SetAsync(key, Value, 3, version);
            }
        });
    });

    public override ValueTask SumAsync(int counter) => WriteAsync(async (connection, version) =>
    {
        var key = CounterKey(counter);
        var stored = await connection.ReadAsync(Get, key);
        await connection.SetAsync(key, Add(stored.Value, 1), 2, version);
    });

    public override ValueTask SetTenAsync(long row) => WriteAsync(async (connection, version) =>
    {
        for (var i = 0; i < 10; i++)
        {
            await connection.SetAsync(KeyOf(row + i), Value, 3, version);
        }
    });

    public override ValueTask DisposeAsync() => _connections.DisposeAsync();

    private ValueTask RunAsync(Func<RawConnection, ValueTask> run) => _connections.RunAsync(run);

    private ValueTask WriteAsync(Func<RawConnection, long, ValueTask> write) => RunAsync(connection => WriteAsync(connection, write));

    private ValueTask WriteAsync(RawConnection connection, Func<RawConnection, long, ValueTask> write) => _connections.WriteAsync(connection, async () =>
    {
        var version = (long)(await connection.Command("update data_version set version = version + 1 where k = 0 returning version").ExecuteScalarAsync())!;
        await write(connection, version);
    });
}
