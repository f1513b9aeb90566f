using Kv.TestKit;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>Heartbeats beside transactions that lock what they extend.</summary>
public sealed class PostgresHeartbeatTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    private const string Lock = "select 1 from queue_running where id = $1 for update nowait";
    private const string Waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and $1 <> ''";

    // In whatever order the server would lock the rows, one of the two finds it.
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task A_heartbeat_that_waits_for_one_message_holds_no_other_so_nobody_deadlocks_with_it(int first)
    {
        Gate[] gates = [new(), new()];
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((job, context, token) => gates[job.Number].PassAsync(context, token)));
        await test.Store.Atomic().Enqueue(new Job(0)).Enqueue(new Job(1)).CommitAsync();
        await test.ClaimAsync();
        string[] ids = [(await gates[0].Begun).Id, (await gates[1].Begun).Id];
        await using var other = new NpgsqlConnection(test.ConnectionString);
        await other.OpenAsync();
        await using var transaction = await other.BeginTransactionAsync();
        Assert.True(await FindsAsync(other, Lock, ids[first]));

        var beating = Task.Run(test.Worker().Heartbeat.Beat);
        await using var looking = new NpgsqlConnection(test.ConnectionString);
        await looking.OpenAsync();
        while (!await FindsAsync(looking, Waiting, "any"))
        {
            Assert.False(beating.IsCompleted, "The heartbeat did not wait for the message that is locked.");
        }

        Assert.True(await FindsAsync(other, Lock, ids[1 - first]));
        await transaction.RollbackAsync();

        Assert.True(await beating.WaitAsync(WorkerTesting.Patience));
        Assert.All(gates, static gate => Assert.False(gate.Token.IsCancellationRequested));
        gates[0].Open();
        gates[1].Open();
        await test.IdleAsync();
        await test.AssertEmptyAsync();
    }

    private static async Task<bool> FindsAsync(NpgsqlConnection connection, string text, string value)
    {
        await using var command = new NpgsqlCommand(text, connection);
        command.Parameters.Add(new NpgsqlParameter { Value = value });
        return await command.ExecuteScalarAsync() is not null;
    }
}
