using Kv.TestKit;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>Heartbeats beside transactions that lock what they extend.</summary>
public sealed class PostgresHeartbeatTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    private const string Lock = "select 1 from queue_running where id = $1 for update nowait";
    private readonly ManualTime _time = new();

    // In whatever order the server would lock the rows.
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task A_message_that_a_transaction_has_locked_holds_up_no_heartbeat_and_is_extended_when_it_is_free(int locked)
    {
        Gate[] gates = [new(), new()];
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((job, context, token) => gates[job.Number].PassAsync(context, token)), _time);
        await test.Store.Atomic().Enqueue(new Job(0)).Enqueue(new Job(1)).CommitAsync();
        await test.ClaimAsync();
        string[] ids = [(await gates[0].Begun).Id, (await gates[1].Begun).Id];
        await using var other = new NpgsqlConnection(test.ConnectionString);
        await other.OpenAsync();
        await using var transaction = await other.BeginTransactionAsync();
        Assert.True(await FindsAsync(other, Lock, ids[locked]));
        _time.Advance(TimeSpan.FromSeconds(12));

        Assert.False(await BeatAsync(test));

        Assert.Equal(TimeSpan.Zero, SinceExtended(test, ids[1 - locked]));
        Assert.Equal(TimeSpan.FromSeconds(12), SinceExtended(test, ids[locked]));
        Assert.True(await FindsAsync(other, Lock, ids[1 - locked]));
        await transaction.RollbackAsync();
        _time.Advance(TimeSpan.FromSeconds(12));

        Assert.True(await BeatAsync(test));

        Assert.All(ids, id => Assert.Equal(TimeSpan.Zero, SinceExtended(test, id)));
        Assert.All(gates, static gate => Assert.False(gate.Token.IsCancellationRequested));
        gates[0].Open();
        gates[1].Open();
        await test.IdleAsync();
        test.AssertQueueEmpty();
    }

    private static Task<bool> BeatAsync(KvTestStore test) => Task.Run(test.Worker().Heartbeat.Beat).WaitAsync(WorkerTesting.Patience);

    private static TimeSpan SinceExtended(KvTestStore test, string id) =>
        test.Worker().Running.Single(held => held.Message.Fence.Id == id).Lease.SinceExtended;

    private static async Task<bool> FindsAsync(NpgsqlConnection connection, string text, string value)
    {
        await using var command = new NpgsqlCommand(text, connection);
        command.Parameters.Add(new NpgsqlParameter { Value = value });
        return await command.ExecuteScalarAsync() is not null;
    }
}
