using System.Collections.Concurrent;
using System.Data.Common;
using Kv.Diagnostics;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

public abstract class ExpirySpec(KvDatabase database)
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private readonly ManualTime _time = new();

    [Fact]
    public async Task An_entry_lives_up_to_its_time_and_not_a_millisecond_longer()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.SetAsync(["k"], 1, Second);

        _time.Advance(TimeSpan.FromMilliseconds(999));
        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
        _time.Advance(TimeSpan.FromMilliseconds(1));

        Assert.Null(await test.Store.GetAsync(["k"]));
    }

    [Fact]
    public async Task What_is_expired_and_not_swept_is_absent_for_every_operation()
    {
        await using var test = await UnsweptAsync();
        var store = test.Store;
        var all = KvRange.Prefix([]);

        Assert.Null(await store.GetAsync(["gone"]));
        Assert.False(await store.ExistsAsync(["gone"]));
        Assert.Equal([null, 7UL], (await store.GetManyAsync([["gone"], ["lives"]])).Select(static e => e?.As<ulong?>()));
        Assert.Equal([["lives"]], await store.ListAsync(all).Select(static e => e.Key).ToListAsync());
        Assert.Equal([["lives"]], await store.ListAsync(all, new() { Reverse = true, Snapshot = true }).Select(static e => e.Key).ToListAsync());
        Assert.Equal([["lives"]], await test.KeysAsync());
        Assert.Equal(1, await store.CountAsync(all));
        Assert.Equal(2, await test.CountRowsAsync());

        Assert.False((await store.Atomic().Check(["gone"], KvVersionstamp.FromVersion(1)).CommitAsync()).Succeeded);
        Assert.Null(Assert.Single((await store.Atomic().Check(["gone"], KvVersionstamp.FromVersion(1)).CommitAsync()).FailedChecks).Present);
        Assert.True((await store.Atomic().Check(["gone"], null).Touch(["gone"], TimeSpan.FromHours(1)).CommitAsync()).Succeeded);
        Assert.Null(await store.GetAsync(["gone"]));
        await store.Atomic().Sum(["gone"], 2).Sum(["lives"], 2).CommitAsync();
        Assert.Equal([2UL, 9UL], (await store.GetManyAsync([["gone"], ["lives"]])).Select(static e => e!.As<ulong>()));
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal([["gone"]], await test.KeysAsync());
    }

    [Fact]
    public async Task An_entry_that_expires_at_once_is_never_seen()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.SetAsync(["k"], 1);

        var result = await test.Store.Atomic().Set(["k"], 2, TimeSpan.Zero).CommitAsync();

        Assert.True(result.Succeeded);
        Assert.Null(await test.Store.GetAsync(["k"]));
        Assert.True((await test.Store.Atomic().Check(["k"], null).CommitAsync()).Succeeded);
    }

    [Fact]
    public async Task Sweeping_deletes_in_batches_that_each_take_a_version()
    {
        await using var test = await UnsweptAsync();
        for (var i = 0; i < 1234; i++)
        {
            await test.InsertAsync(KvKey.Create(["n", i]).Encoded, [1], 3, expiresAt: Now);
        }

        var before = await test.VersionAsync();
        await SweepAsync(test);

        Assert.Equal([["lives"]], (await test.KeysAsync()));
        Assert.Equal(1, await test.CountRowsAsync());
        Assert.Equal(before + 3, await test.VersionAsync());
        await SweepAsync(test);
        Assert.Equal(before + 3, await test.VersionAsync());
    }

    [Fact]
    public async Task An_entry_that_was_written_again_survives_the_sweep_that_saw_it_expired()
    {
        await using var test = await UnsweptAsync();
        var (reached, held) = (new TaskCompletionSource(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        test.FailPoints.OnHit = async point =>
        {
            if (point == FailPoints.BeforeCommit && reached.TrySetResult())
            {
                await held.Task.WaitAsync(Rows.Patience, TimeProvider.System);
            }
        };

        // The write that renews the entry has begun to commit; the sweep looks meanwhile and comes after it.
        var renewal = Task.Run(() => test.Store.SetAsync(["gone"], "new").AsTask());
        await reached.Task.WaitAsync(Rows.Patience, TimeProvider.System);
        var sweep = test.Engine.Sweeper.SweepAsync(CancellationToken.None);
        var seen = await test.Engine.Reader.ExpiredAsync(10, Now, CancellationToken.None);
        held.SetResult();
        await renewal;
        await sweep;

        Assert.Single(seen);
        Assert.Equal("new", await test.Store.GetAsync<string>(["gone"]));
    }

    [Fact]
    public async Task The_sweeper_comes_earlier_for_an_earlier_expiry_and_wakes_watchers()
    {
        await using var test = await database.CreateStoreAsync(_time, static options => (options.SweepInterval, options.WatchInterval) = (TimeSpan.FromDays(1), TimeSpan.FromDays(1)));
        await using var watch = test.Store.WatchAsync([["first"], ["second"]]).GetAsyncEnumerator();
        Assert.Equal([null, null], await watch.NextAsync());
        await test.Store.SetAsync(["first"], 1, TimeSpan.FromHours(5));
        Assert.NotNull((await watch.NextAsync())[0]);

        // Nothing but the sweeper's timer can wake the watcher: no time passes after these.
        await test.Store.SetAsync(["second"], 1, Second);
        Assert.NotNull((await watch.NextAsync())[1]);
        await _time.WhenNextTimerAsync(next => next == _time.GetUtcNow() + Second);
        _time.Advance(Second);
        var swept = await watch.NextAsync();
        Assert.NotNull(swept[0]);
        Assert.Null(swept[1]);

        await _time.WhenNextTimerAsync(next => next == _time.GetUtcNow() + TimeSpan.FromHours(5) - Second);
        _time.Advance(TimeSpan.FromHours(5) - Second);
        Assert.Equal([null, null], await watch.NextAsync());
        Assert.Equal(0, await test.CountRowsAsync());
    }

    [Fact]
    public async Task What_others_wrote_is_swept_at_the_latest_after_the_interval()
    {
        // Time runs here until the sweeper has come, however late the machine lets it.
        await using var test = await UnsweptAsync(lives: TimeSpan.FromDays(10_000));
        await using var watch = test.Store.WatchAsync([["other"]]).GetAsyncEnumerator();
        await watch.NextAsync();
        var version = test.Engine.Signals.Seen.Highest;

        // The sweeper may still be about to set its timer.
        while (await test.CountRowsAsync() > 1)
        {
            _time.Advance(TimeSpan.FromMinutes(1));
        }

        Assert.True(await test.VersionAsync() > version);
        Assert.Equal(1, await test.CountRowsAsync());
    }

    [Fact]
    public async Task The_sweeper_begins_when_the_first_operation_is_done_and_takes_no_context_of_its_own()
    {
        var contexts = new Contexts();
        await using var test = await database.CreateStoreAsync(_time, services: services => services.AddKvStore(db => db.AddInterceptors(contexts)));

        await test.Store.GetAsync(["k"]);

        // It sets its timer when it has looked; until then there may be the one by which it begins at the latest.
        await _time.WhenNextTimerAsync(next => next > _time.GetUtcNow() + Second);
        Assert.Single(contexts.Opened.Distinct());
    }

    [Fact]
    public async Task The_sweeper_begins_though_all_that_is_done_is_in_transactions_of_the_users()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.InsertAsync(KvKey.Create(["gone"]).Encoded, [1], 3, expiresAt: Now);
        await using (var context = test.CreateContext())
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            await test.Store.Atomic().Set(["k"], 1).CommitAsync(context);
            await transaction.CommitAsync();
        }

        await _time.WhenNextTimerAsync(next => next > _time.GetUtcNow());
        _time.Advance(Second);

        while (await test.CountRowsAsync() > 1)
        {
            await Task.Yield();
        }
    }

    private long Now => _time.GetUtcNow().ToUnixTimeMilliseconds();

    private static Task<TimeSpan> SweepAsync(KvTestStore test) => test.Engine.Sweeper.SweepAsync(CancellationToken.None);

    /// <summary>A store whose sweeper has looked already, and then one entry expired that it does not know of, and one that lives on.</summary>
    private async Task<KvTestStore> UnsweptAsync(Action<KvStoreOptions>? options = null, TimeSpan? lives = null)
    {
        var test = await database.CreateStoreAsync(_time, options);
        await test.Store.SetAsync(["first"], 1, TimeSpan.Zero);
        while (await test.CountRowsAsync() > 0)
        {
            await Task.Yield();
        }

        await _time.WhenNextTimerAsync(next => next > _time.GetUtcNow());

        await test.InsertAsync(KvKey.Create(["gone"]).Encoded, [9, 0, 0, 0, 0, 0, 0, 0], 2, expiresAt: Now);
        var end = _time.GetUtcNow() + (lives ?? TimeSpan.FromHours(1));
        await test.InsertAsync(KvKey.Create(["lives"]).Encoded, [7, 0, 0, 0, 0, 0, 0, 0], 2, expiresAt: end.ToUnixTimeMilliseconds());
        return test;
    }

    /// <summary>Whose connections were opened.</summary>
    private sealed class Contexts : DbConnectionInterceptor
    {
        public ConcurrentBag<DbContext?> Opened { get; } = [];

        public override Task ConnectionOpenedAsync(DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default)
        {
            Opened.Add(eventData.Context);
            return Task.CompletedTask;
        }
    }
}

public sealed class SqliteExpiryTests(SqliteDatabase database) : ExpirySpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresExpiryTests(PostgresDatabase database) : ExpirySpec(database), IClassFixture<PostgresDatabase>;
