using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>A message that was enqueued in a scope is handled there, and everything that becomes of it stays there.</summary>
public abstract class ScopeSpec(KvDatabase database)
{
    private static readonly KvKey Tenant = ["t", 1L];
    private readonly ManualTime _time = new();
    private readonly List<string> _seen = [];

    [Fact]
    public async Task The_store_of_its_handler_is_the_scope_at_every_attempt()
    {
        await using var test = await WorkingAsync(async (job, context, token) =>
        {
            Assert.Equal(Tenant, context.Scope);
            Assert.Equal("g", context.GroupKey);
            await context.Store.SumAsync(["seen"], 1, cancellationToken: token);
            if (context.Attempt == 1)
            {
                throw new InvalidOperationException("Once.");
            }

            await context.CompleteAsync(
                write => write.Set(["done"], job.Number).Enqueue(new Job(job.Number + 1), new KvEnqueueOptions { Topic = "next" }), token);
        });

        await test.Store.Scope(Tenant).EnqueueAsync(
            new Job(1), new KvEnqueueOptions { BackoffSchedule = [TimeSpan.FromMinutes(1)], GroupKey = "g" });
        await test.SettleAsync();
        _time.Advance(TimeSpan.FromMinutes(1));
        await test.SettleAsync();

        Assert.Equal([["t", 1L, "done"], ["t", 1L, "seen"]], await KeysAsync(test));
        Assert.Equal(2UL, await test.Store.GetAsync<ulong>(["t", 1L, "seen"]));
        Assert.Equal(Tenant, Assert.Single(await test.Queue().PeekAsync("next")).Scope);
    }

    [Fact]
    public async Task A_message_that_runs_from_the_first_has_its_scope()
    {
        await using var test = await WorkingAsync(
            static async (job, context, token) => await context.CompleteAsync(write => write.Set(["done"], job.Number), token));
        await test.StartAsync();

        await test.Store.Scope(Tenant).EnqueueAsync(new Job(7));
        await using var watch = test.Store.WatchAsync([["t", 1L, "done"]]).GetAsyncEnumerator();
        do
        {
            Assert.True(await watch.MoveNextAsync());
        }
        while (watch.Current[0] is null);

        Assert.Equal(7, watch.Current[0]!.As<int>());
        await test.StopAsync();
    }

    [Fact]
    public async Task Its_keys_if_undelivered_are_in_the_scope_and_its_dead_letter_says_where_it_was()
    {
        var fails = true;
        await using var test = await WorkingAsync((_, context, _) =>
            fails ? throw new InvalidOperationException("Never.") : Task.CompletedTask);
        var options = new KvEnqueueOptions { BackoffSchedule = [], KeysIfUndelivered = [["lost"]], GroupKey = "g", RateKey = "r" };

        await test.Store.Scope(Tenant).EnqueueAsync(new Job(1), options);
        await test.Store.Scope(Tenant).EnqueueAsync(new Job(2), options with { KeysIfUndelivered = [] });
        await test.SettleAsync();

        Assert.Equal(new Job(1), await test.Store.Scope(Tenant).GetAsync<Job>(["lost"]));
        var letter = Assert.Single(await test.DeadLettersAsync());
        Assert.Equal((Tenant, "g", "r"), (letter.Scope, letter.GroupKey, letter.RateKey));
        Assert.Equal(new Job(2), letter.As<Job>());

        // Replayed, it is what it was.
        fails = false;
        Assert.True(await test.Queue().ReplayAsync(letter));
        var again = await test.Queue().GetAsync(letter.Id);
        Assert.Equal((Tenant, "g"), (again!.Scope, again.GroupKey));
        await test.SettleAsync();
        Assert.Equal(["1 1", "2 1", "2 1"], _seen);
    }

    [Fact]
    public async Task Groups_of_two_scopes_do_not_wait_for_one_another()
    {
        var gate = new Gate();
        await using var test = await WorkingAsync(
            (job, context, token) => job.Number == 1 ? gate.PassAsync(context, token) : Task.CompletedTask);
        var group = new KvEnqueueOptions { GroupKey = "g" };
        await test.Store.Scope(Tenant).EnqueueAsync(new Job(1), group);
        await test.ClaimAsync();
        await gate.Begun;

        await test.Store.Scope(["t", 2L]).EnqueueAsync(new Job(2), group);
        await test.Store.EnqueueAsync(new Job(3), group);
        await test.Store.Scope(Tenant).EnqueueAsync(new Job(4), group);
        await test.ClaimAsync();
        gate.Open();
        await test.IdleAsync();
        Assert.Equal(["1 1", "2 2", "3"], _seen.Order(StringComparer.Ordinal));

        await test.SettleAsync();
        Assert.Equal("4 1", _seen[^1]);
    }

    [Fact]
    public async Task A_rate_per_key_counts_for_each_scope()
    {
        await using var test = await WorkingAsync(
            static (_, _, _) => Task.CompletedTask,
            static topic => topic.RatePerKey = new KvRate(1, TimeSpan.FromMinutes(1)));
        var rated = new KvEnqueueOptions { RateKey = "r" };
        foreach (var store in (IKvStore[])[test.Store.Scope(Tenant), test.Store.Scope(["t", 2L]), test.Store])
        {
            await store.EnqueueAsync(new Job(1), rated);
            await store.EnqueueAsync(new Job(2), rated);
        }

        await test.SettleAsync();
        Assert.Equal(["", " 1", " 2"], _seen.Select(static seen => seen[1..]).Order(StringComparer.Ordinal));

        _time.Advance(TimeSpan.FromMinutes(1));
        await test.SettleAsync();
        Assert.Equal(["1", "1 1", "1 2", "2", "2 1", "2 2"], _seen.Order(StringComparer.Ordinal));
    }

    private Task<KvTestStore> WorkingAsync(
        Func<Job, KvMessageContext, CancellationToken, Task> handle, Action<KvTopicOptions>? topic = null) => database.CreateWorkerAsync(
        worker =>
        {
            worker.Handle<Job>((job, context, token) =>
            {
                lock (_seen)
                {
                    _seen.Add(context.Scope is { } scope ? $"{job.Number} {scope[1].AsInt64()}" : $"{job.Number}");
                }

                return handle(job, context, token);
            });
            if (topic is not null)
            {
                worker.Topic<Job>(topic);
            }
        },
        _time,
        logs: new LogCollector());

    private static async Task<List<KvKey>> KeysAsync(KvTestStore test) =>
        await test.Store.ListKeysAsync(KvRange.Prefix(["t"])).ToListAsync();
}

public sealed class SqliteScopeTests(SqliteDatabase database) : ScopeSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresScopeTests(PostgresDatabase database) : ScopeSpec(database), IClassFixture<PostgresDatabase>;
