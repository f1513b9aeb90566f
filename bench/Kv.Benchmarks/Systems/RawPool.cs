using System.Collections.Concurrent;

namespace Kv.Benchmarks.Systems;

/// <summary>Open connections for as many callers as there are connections.</summary>
public sealed class RawPool(Target target, int size) : IAsyncDisposable
{
    private readonly ConcurrentBag<RawConnection> _idle = [];
    private readonly SemaphoreSlim _permits = new(size);

    // SQLite has one lock for all writers, so they are let in one by one.
    private readonly SemaphoreSlim _writers = new(target.IsSqlite ? 1 : size);

    public async ValueTask RunAsync(Func<RawConnection, ValueTask> run)
    {
        await _permits.WaitAsync();
        try
        {
            var connection = _idle.TryTake(out var idle) ? idle : new RawConnection(await target.OpenAsync());
            await run(connection);
            _idle.Add(connection);
        }
        finally
        {
            _permits.Release();
        }
    }

    public async ValueTask WriteAsync(RawConnection connection, Func<ValueTask> write)
    {
        await _writers.WaitAsync();
        try
        {
            await connection.Command(target.IsSqlite ? "begin immediate" : "begin").ExecuteNonQueryAsync();
            await write();
            await connection.Command("commit").ExecuteNonQueryAsync();
        }
        finally
        {
            _writers.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var connection in _idle)
        {
            await connection.DisposeAsync();
        }

        _permits.Dispose();
        _writers.Dispose();
    }
}
