namespace Kv.Benchmarks.Systems;

/// <summary>
/// The floor: the driver on the same table, an insert to enqueue and a delete to take, one transaction each. It has no leases: a worker that
/// dies takes its message with it.
/// </summary>
public sealed class RawQueue(Target target) : QueueSystem
{
    private const string Enqueue = """
        insert into queue (ts, id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding) values (@ts, @id, @data, '[]', '[]', '', 'bench', 4)
        """;

    private readonly EfKvQueue _store = new(target);
    private readonly string _take = $"""
        delete from queue where (ts, id) in (
            select ts, id from queue where topic = '' and state = 0 and priority = 0 and ts <= @now order by ts, id limit 1{(target.IsSqlite ? "" : " for update skip locked")})
        returning data
        """;

    private RawPool? _connections;
    private CancellationTokenSource _stopping = new();
    private Task _workers = Task.CompletedTask;

    private static long Now => TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();

    public override Task SetUpAsync() => _store.SetUpAsync();

    public override Task OpenAsync()
    {
        _connections = new RawPool(target, 96);
        return Task.CompletedTask;
    }

    public override ValueTask EnqueueAsync(long message) => _connections!.RunAsync(connection => _connections.WriteAsync(connection, async () =>
        await connection.Command(
            Enqueue, ("@ts", Now), ("@id", Guid.CreateVersion7().ToString()), ("@data", BitConverter.GetBytes(message))).ExecuteNonQueryAsync()));

    public override async Task FillAsync(int messages)
    {
        await using var connection = await target.OpenAsync();
        var now = Now;
        await Seeder.FillAsync(connection, "queue", ["ts", "id", "data", "backoff_schedule", "keys_if_undelivered", "topic", "type", "encoding"], Enumerable.Range(0, messages).Select(i => (object[])
            [now, Guid.CreateVersion7().ToString(), BitConverter.GetBytes((long)i), "[]", "[]", "", "bench", 4]));
    }

    public override Task StartAsync(Func<long, Task> handle)
    {
        _workers = Task.WhenAll(Enumerable.Range(0, target.IsSqlite ? 1 : 10).Select(_ => Task.Run(() => WorkAsync(handle, _stopping.Token))));
        return Task.CompletedTask;
    }

    public override async Task StopAsync()
    {
        await _stopping.CancelAsync();
        await _workers;
        _stopping.Dispose();
        _stopping = new CancellationTokenSource();
    }

    public override async Task CloseAsync()
    {
        await StopAsync();
        await (_connections?.DisposeAsync() ?? ValueTask.CompletedTask);
        _connections = null;
    }

    private async Task WorkAsync(Func<long, Task> handle, CancellationToken stopping)
    {
        while (!stopping.IsCancellationRequested)
        {
            byte[]? taken = null;
            await _connections!.RunAsync(connection => _connections.WriteAsync(connection, async () =>
                taken = (byte[]?)await connection.Command(_take, ("@now", Now)).ExecuteScalarAsync()));
            if (taken is not null)
            {
                await handle(BitConverter.ToInt64(taken));
            }
            else
            {
                await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, CancellationToken.None);
            }
        }
    }
}
