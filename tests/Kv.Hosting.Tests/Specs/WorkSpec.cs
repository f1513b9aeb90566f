using System.Collections.Concurrent;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

public abstract class WorkSpec(KvDatabase database)
{
    private readonly LogCollector _logs = new();

    [Fact]
    public async Task Many_workers_on_one_database_do_every_message_once()
    {
        const int Count = 1000;
        var handled = new ConcurrentDictionary<int, int>();
        List<KvTestStore> workers = [];
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var done = 0;
        for (var i = 0; i < 3; i++)
        {
            workers.Add(await database.CreateWorkerAsync(
                worker => worker.Handle<Job>(async (job, context, token) =>
                {
                    handled.AddOrUpdate(job.Number, 1, static (_, times) => times + 1);
                    await context.CompleteAsync(write => write.Sum(["count"], 1).Sum(["job", (long)job.Number], 1), token);
                    if (Interlocked.Increment(ref done) == Count)
                    {
                        all.SetResult();
                    }
                }),
                options: static options => options.PollInterval = TimeSpan.FromMilliseconds(20),
                beside: workers.FirstOrDefault(),
                logs: _logs));
        }

        await Task.WhenAll(workers.Select(static w => w.StartAsync()));
        for (var from = 0; from < Count; from += 100)
        {
            var write = workers[from / 100 % 3].Store.Atomic();
            for (var i = from; i < from + 100; i++)
            {
                write.Enqueue(new Job(i));
            }

            await write.CommitAsync();
        }

        await all.Task.WaitAsync(WorkerTesting.Patience);
        await Task.WhenAll(workers.Select(static w => w.StopAsync()));

        Assert.Equal(Count, handled.Count);
        Assert.All(handled.Values, static times => Assert.Equal(1, times));
        Assert.Equal((ulong)Count, await workers[0].Store.GetAsync<ulong>(["count"]));
        await foreach (var entry in workers[0].Store.ListAsync(KvRange.Prefix(["job"])))
        {
            Assert.Equal(1UL, entry.As<ulong>());
        }

        workers[0].AssertQueueEmpty();
        foreach (var worker in workers)
        {
            await worker.DisposeAsync();
        }
    }

    [Fact]
    public async Task A_message_of_this_process_is_handled_without_waiting_for_the_poll()
    {
        var seen = new SemaphoreSlim(0);
        await using var test = await CountingAsync(seen, TimeSpan.FromMinutes(1));
        await test.StartAsync();
        for (var i = 0; i < 20; i++)
        {
            await test.Store.EnqueueAsync(new Job(i));
            Assert.True(await seen.WaitAsync(WorkerTesting.Patience));
        }
    }

    [Fact]
    public async Task A_retry_and_a_delay_wake_the_worker_when_they_are_due()
    {
        var seen = new SemaphoreSlim(0);
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, _) =>
            {
                seen.Release();
                return context.Attempt == 1 ? throw new InvalidOperationException("Again.") : Task.CompletedTask;
            }),
            options: static options => options.PollInterval = TimeSpan.FromMinutes(1),
            logs: _logs);
        await test.StartAsync();

        await test.Store.EnqueueAsync(new Job(1), new() { Delay = TimeSpan.FromMilliseconds(50), BackoffSchedule = [TimeSpan.FromMilliseconds(50)] });

        Assert.True(await seen.WaitAsync(WorkerTesting.Patience));
        Assert.True(await seen.WaitAsync(WorkerTesting.Patience));
    }

    [Fact]
    public async Task A_message_of_another_process_is_found_by_polling()
    {
        var seen = new SemaphoreSlim(0);
        await using var test = await CountingAsync(seen, TimeSpan.FromMilliseconds(50));
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        await test.StartAsync();

        await other.Store.EnqueueAsync(new Job(1));

        Assert.True(await seen.WaitAsync(WorkerTesting.Patience));
    }

    [Fact]
    public async Task The_worker_outlives_errors_of_its_database()
    {
        var seen = new SemaphoreSlim(0);
        await using var test = await CountingAsync(seen, TimeSpan.FromMilliseconds(50));
        await test.StartAsync();
        await test.Store.EnqueueAsync(new Job(1));
        Assert.True(await seen.WaitAsync(WorkerTesting.Patience));

        await test.ExecuteAsync("alter table queue rename to away");
        await _logs.WaitForAsync(103, times: 3);
        await test.ExecuteAsync("alter table away rename to queue");
        await test.Store.EnqueueAsync(new Job(2));

        Assert.True(await seen.WaitAsync(WorkerTesting.Patience));
    }

    [Fact]
    public async Task A_worker_that_starts_before_its_tables_are_made_waits_for_them()
    {
        var seen = new SemaphoreSlim(0);
        var connectionString = await database.CreateEmptyAsync();
        await using var test = await database.CreateStoreAsync(connectionString: connectionString, services: services =>
        {
            Collect(services);
            services.AddKvWorker().Handle<Job>((_, _, _) => Task.FromResult(seen.Release()));
        });
        await test.StartAsync();
        await _logs.WaitForAsync(103, times: 1);

        await test.Services.MigrateKvStoreAsync();
        await test.Store.EnqueueAsync(new Job(1));

        Assert.True(await seen.WaitAsync(WorkerTesting.Patience));
    }

    [Fact]
    public async Task An_idle_worker_commits_nothing()
    {
        var time = new ManualTime();
        await using var test = await database.CreateWorkerAsync(static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask), time);
        await test.Store.EnqueueAsync(new Job(1), new() { Delay = TimeSpan.FromDays(1) });
        await test.SettleAsync();
        var before = await FootprintAsync(test);

        for (var i = 0; i < 10; i++)
        {
            time.Advance(TimeSpan.FromSeconds(61));
            Assert.True(await test.Worker().RunRoundAsync(CancellationToken.None) > TimeSpan.Zero);
            test.Worker().Heartbeat.Beat();
        }

        Assert.Equal(before, await FootprintAsync(test));
    }

    /// <summary>What changes with every commit.</summary>
    protected virtual async Task<string> FootprintAsync(KvTestStore test)
    {
        await using var context = test.CreateContext();
        return string.Join(' ', await context.Set<Model.DataVersion>().AsNoTracking().OrderBy(v => v.Key).Select(v => $"{v.Key}:{v.Version}:{v.Sequence}").ToListAsync());
    }

    private Task<KvTestStore> CountingAsync(SemaphoreSlim seen, TimeSpan poll) => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((_, _, _) => Task.FromResult(seen.Release())), options: options => options.PollInterval = poll, logs: _logs);

    private void Collect(IServiceCollection services) => services.AddSingleton(_ => _logs.CreateProvider());
}

public sealed class SqliteWorkTests(SqliteDatabase database) : WorkSpec(database), IClassFixture<SqliteDatabase>
{
    protected override async Task<string> FootprintAsync(KvTestStore test)
    {
        var file = new Microsoft.Data.Sqlite.SqliteConnectionStringBuilder(test.ConnectionString).DataSource;
        var log = new FileInfo(file + "-wal");
        return $"{await base.FootprintAsync(test)} {log.Length} {log.LastWriteTimeUtc.Ticks} {File.GetLastWriteTimeUtc(file).Ticks}";
    }
}

public sealed class PostgresWorkTests(PostgresDatabase database) : WorkSpec(database), IClassFixture<PostgresDatabase>;
