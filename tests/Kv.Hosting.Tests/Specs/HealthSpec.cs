using Kv.Health;
using Kv.Store;
using Kv.TestKit;
using Kv.Worker;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Kv.Tests.Specs;

/// <summary>What health tells of that a look at the database alone does not see.</summary>
public abstract class HealthSpec(KvDatabase database, Disk disk)
{
    [Fact]
    public async Task Health_tells_that_writes_fail_while_reads_succeed_until_one_is_taken_again()
    {
        var time = new ManualTime();
        await using var test = await database.CreateStoreAsync(
            time, options: static o => o.CommandTimeout = TimeSpan.FromMilliseconds(200), services: disk.Configure);
        await disk.InstallAsync(test);
        await test.Store.SetAsync(["a"], 1);
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(test)).Status);
        await disk.FillAsync();
        Assert.Equal(KvErrorKind.Unavailable, (await Assert.ThrowsAsync<KvException>(() => test.Store.SetAsync(["a"], 2).AsTask())).Kind);

        Assert.Equal(1, await test.Store.GetAsync<int>(["a"]));
        var degraded = await CheckAsync(test);
        time.Advance(TimeSpan.FromSeconds(31));
        var unhealthy = await CheckAsync(test);

        Assert.Equal((HealthStatus.Degraded, HealthStatus.Unhealthy), (degraded.Status, unhealthy.Status));
        Assert.Contains("Writes have failed for", degraded.Description, StringComparison.Ordinal);
        Assert.True(disk.IsCause(degraded.Exception), degraded.Exception?.ToString());

        // While no write comes, health finds out by itself.
        await disk.FreeAsync();
        time.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(test)).Status);

        await disk.FillAsync();
        await Assert.ThrowsAsync<KvException>(() => test.Store.SetAsync(["a"], 3).AsTask());
        Assert.Equal(HealthStatus.Degraded, (await CheckAsync(test)).Status);
        await disk.FreeAsync();
        await test.Store.SetAsync(["a"], 4);
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(test)).Status);
    }

    [Fact]
    public async Task Health_is_not_moved_by_a_write_that_is_itself_at_fault()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["text"], "no number");

        await Assert.ThrowsAsync<KvException>(() => test.Store.Atomic().Sum(["text"], 1).CommitAsync().AsTask());

        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(test)).Status);
    }

    protected static Task<HealthCheckResult> CheckAsync(KvTestStore test)
    {
        var check = new StoreHealthCheck((KvStore)test.Store, new QueueWatch((KvStore)test.Store, new KvWorkerOptions()));
        return check.CheckHealthAsync(new HealthCheckContext { Registration = new HealthCheckRegistration("kv", check, failureStatus: null, tags: null) });
    }
}

public sealed class SqliteHealthTests(SqliteDatabase database) : HealthSpec(database, new SqliteDisk()), IClassFixture<SqliteDatabase>
{
    private readonly SqliteDatabase _database = database;

    [Fact]
    public async Task A_damaged_file_is_unhealthy_at_every_look_until_it_is_whole_again()
    {
        var address = await _database.CreateMigratedAsync();
        await using (var before = await _database.CreateStoreAsync(connectionString: address))
        {
            for (var i = 0; i < 50; i++)
            {
                await before.Store.SetAsync(["k", i], new string('x', 2000));
            }
        }

        var file = new SqliteConnectionStringBuilder(address).DataSource;
        var whole = await File.ReadAllBytesAsync(file);
        var damaged = whole.ToArray();
        var page = System.Buffers.Binary.BinaryPrimitives.ReadUInt16BigEndian(whole.AsSpan(16));
        Array.Fill(damaged, (byte)0xA5, 14 * page, damaged.Length - (14 * page));
        await File.WriteAllBytesAsync(file, damaged);
        await using (var test = await _database.CreateStoreAsync(connectionString: address))
        {
            var refused = await Assert.ThrowsAsync<KvException>(() => test.Store.ListAsync(KvRange.Prefix(["k"])).ToListAsync().AsTask());
            Assert.Equal(KvErrorKind.Refused, refused.Kind);
            Assert.Contains("malformed", refused.Message, StringComparison.Ordinal);
            for (var look = 0; look < 3; look++)
            {
                var unhealthy = await CheckAsync(test);
                Assert.Equal(HealthStatus.Unhealthy, unhealthy.Status);
                Assert.Contains("damaged", unhealthy.Description, StringComparison.Ordinal);
            }

            Assert.NotNull(test.Engine().Health.Damage);
            await File.WriteAllBytesAsync(file, whole);
            Assert.Equal(HealthStatus.Healthy, (await CheckAsync(test)).Status);
        }
    }
}

public sealed class PostgresHealthTests(PostgresDatabase database) : HealthSpec(database, new PostgresDisk()), IClassFixture<PostgresDatabase>
{
    private readonly PostgresDatabase _database = database;

    [Fact]
    public async Task A_completion_whose_statement_the_server_cancels_costs_no_attempt()
    {
        var attempts = 0;
        await using var test = await _database.CreateWorkerAsync(worker => worker.Handle<Job>(async (_, context, token) =>
        {
            attempts++;
            await context.CompleteAsync(write => write.Set(["done"], 1), token);
        }));
        await test.ExecuteAsync("""
            create sequence once;
            create function cancel_once() returns trigger language plpgsql as $$ begin
                if nextval('once') <= 2 then raise exception 'canceling statement due to statement timeout' using errcode = '57014'; end if;
                return new; end $$;
            create trigger cancel_once before insert on kv for each row execute function cancel_once()
            """);
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        Assert.Equal(1, attempts);
        Assert.Equal(1, await test.Store.GetAsync<int>(["done"]));
        test.AssertQueueEmpty();
    }
}
