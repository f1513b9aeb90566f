using System.Collections.Concurrent;
using System.Data.Common;

namespace Kv.Benchmarks.Systems;

/// <summary>The floor: the driver with prepared commands on the same tables, one transaction per write, as many connections as callers need.</summary>
/// <param name="open">Opens a connection, set up like the store's.</param>
/// <param name="fill">The store, which makes and fills the tables.</param>
/// <param name="beginWrite">How a write transaction begins.</param>
/// <param name="oneWriter">Whether writers are let in one by one, since the database has one lock for all of them.</param>
public sealed class RawSystem(Func<Task<DbConnection>> open, EfKvSystem fill, string beginWrite, bool oneWriter) : BenchSystem
{
    private readonly ConcurrentBag<RawConnection> _idle = [];
    private readonly SemaphoreSlim _writers = new(oneWriter ? 1 : 1000);

    public override Task SetUpAsync(int rows) => fill.SetUpAsync(rows);

    public override async Task OpenAsync() => _idle.Add(new RawConnection(await open()));

    public override Task GetAsync(long row) => RunAsync(connection => connection.ReadAsync("select v, v_encoding, version from kv where k = @k", KeyOf(row)));

    public override async Task<int> ListAsync(long from, int count)
    {
        var found = 0;
        await RunAsync(async connection =>
        {
            await using var reader = await connection.Command("select k, v, v_encoding, version from kv where k >= @k order by k limit @n", ("@k", KeyOf(from)), ("@n", count)).ExecuteReaderAsync();
            while (await reader.ReadAsync())
            {
                _ = (reader.GetFieldValue<byte[]>(0), reader.GetFieldValue<byte[]>(1), reader.GetInt32(2), reader.GetInt64(3));
                found++;
            }
        });
        return found;
    }

    public override Task SetAsync(long row) => WriteAsync((connection, version) => connection.SetAsync(KeyOf(row), Value, 3, version));

    public override Task CheckAndSetAsync(long row) => RunAsync(async connection =>
    {
        var key = KeyOf(row);
        var seen = (await connection.ReadAsync("select v, v_encoding, version from kv where k = @k", key)).Version;
        await WriteAsync(connection, async (_, version) =>
        {
            if ((await connection.ReadAsync("select v, v_encoding, version from kv where k = @k", key)).Version == seen)
            {
                await connection.SetAsync(key, Value, 3, version);
            }
        });
    });

    public override Task SumAsync(int counter) => WriteAsync(async (connection, version) =>
    {
        var key = CounterKey(counter);
        var stored = await connection.ReadAsync("select v, v_encoding, version from kv where k = @k", key);
        await connection.SetAsync(key, Add(stored.Value, 1), 2, version);
    });

    public override Task SetTenAsync(long row) => WriteAsync(async (connection, version) =>
    {
        for (var i = 0; i < 10; i++)
        {
            await connection.SetAsync(KeyOf(row + i), Value, 3, version);
        }
    });

    public override async ValueTask DisposeAsync()
    {
        foreach (var connection in _idle)
        {
            await connection.DisposeAsync();
        }

        await fill.DisposeAsync();
        _writers.Dispose();
    }

    private Task WriteAsync(Func<RawConnection, long, Task> write) => RunAsync(connection => WriteAsync(connection, write));

    private async Task WriteAsync(RawConnection connection, Func<RawConnection, long, Task> write)
    {
        await _writers.WaitAsync();
        try
        {
            await connection.Command(beginWrite).ExecuteNonQueryAsync();
            var version = (long)(await connection.Command("update data_version set version = version + 1 where k = 0 returning version").ExecuteScalarAsync())!;
            await write(connection, version);
            await connection.Command("commit").ExecuteNonQueryAsync();
        }
        finally
        {
            _writers.Release();
        }
    }

    private async Task RunAsync(Func<RawConnection, Task> run)
    {
        var connection = _idle.TryTake(out var idle) ? idle : new RawConnection(await open());
        await run(connection);
        _idle.Add(connection);
    }

    private sealed class RawConnection(DbConnection connection) : IAsyncDisposable
    {
        private readonly Dictionary<string, DbCommand> _commands = new(StringComparer.Ordinal);

        public DbCommand Command(string text, params ReadOnlySpan<(string Name, object Value)> parameters)
        {
            var known = _commands.TryGetValue(text, out var command);
            if (!known)
            {
                command = connection.CreateCommand();
                command.CommandText = text;
                _commands.Add(text, command);
                foreach (var (name, _) in parameters)
                {
                    var parameter = command.CreateParameter();
                    parameter.ParameterName = name;
                    command.Parameters.Add(parameter);
                }
            }

            for (var i = 0; i < parameters.Length; i++)
            {
                command!.Parameters[i].Value = parameters[i].Value;
            }

            if (!known)
            {
                command!.Prepare();
            }

            return command!;
        }

        public async Task<(byte[]? Value, long Version)> ReadAsync(string text, byte[] key)
        {
            await using var reader = await Command(text, ("@k", key)).ExecuteReaderAsync();
            return await reader.ReadAsync() ? (reader.GetFieldValue<byte[]>(0), reader.GetInt64(2)) : (null, 0);
        }

        public async Task SetAsync(byte[] key, byte[] value, int encoding, long version) => await Command(
            """
            insert into kv (k, v, v_encoding, version) values (@k, @v, @e, @version)
            on conflict (k) do update set v = excluded.v, v_encoding = excluded.v_encoding, version = excluded.version, expiration_ms = -1
            """,
            ("@k", key),
            ("@v", value),
            ("@e", encoding),
            ("@version", version)).ExecuteNonQueryAsync();

        public async ValueTask DisposeAsync()
        {
            foreach (var command in _commands.Values)
            {
                await command.DisposeAsync();
            }

            await connection.DisposeAsync();
        }
    }
}
