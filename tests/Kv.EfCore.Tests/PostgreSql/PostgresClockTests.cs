using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.PostgreSql;

/// <summary>Machines that share a server need not agree on the time: the server's clock decides.</summary>
public sealed class PostgresClockTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private static readonly KvRange All = KvRange.Prefix([]);

    /// <summary>How many hours the clock of a machine is ahead, or behind.</summary>
    public static TheoryData<int> Hours => [2, 24 * 400, -2, -24 * 400];

    [Theory]
    [MemberData(nameof(Hours))]
    public async Task A_machine_with_a_wrong_clock_sees_what_is_alive_and_sweeps_none_of_it(int hours)
    {
        await using var right = await database.CreateStoreAsync();
        var now = (await ServerTimeAsync(right)).ToUnixTimeMilliseconds();
        await right.InsertAsync(KvKey.Create(["a"]).Encoded, [7, 0, 0, 0, 0, 0, 0, 0], 2, expiresAt: now + (long)Hour.TotalMilliseconds);
        var version = await right.Store.SetAsync(["b"], 7UL, Hour);
        await using var wrong = await WrongAsync(right, hours);
        var store = wrong.Store;

        await wrong.Engine.Sweeper.SweepAsync(CancellationToken.None);
        Assert.Equal(7UL, await store.GetAsync<ulong>(["a"]));
        Assert.True(await store.ExistsAsync(["b"]));
        Assert.Equal([7UL, 7UL], (await store.GetManyAsync([["a"], ["b"]])).Select(static e => e!.As<ulong>()));
        Assert.Equal([["a"], ["b"]], await store.ListAsync(All).Select(static e => e.Key).ToListAsync());
        Assert.Equal([["b"], ["a"]], await store.ListAsync(All, new() { Reverse = true, Snapshot = true }).Select(static e => e.Key).ToListAsync());
        Assert.Equal([["a"], ["b"]], await store.ListKeysAsync(All).ToListAsync());
        Assert.Equal(2, await store.CountAsync(All));
        Assert.True((await store.Atomic().Check(["b"], version).Sum(["b"], 1).CommitAsync()).Succeeded);
        await using (var watch = store.WatchAsync([["a"], ["b"]]).GetAsyncEnumerator())
        {
            Assert.Equal([7UL, 8UL], (await watch.NextAsync()).Select(static e => e!.As<ulong>()));
        }

        Assert.Equal(2, await right.CountRowsAsync());
        Assert.InRange(await ExpiryAsync(right, "b"), now + (long)Hour.TotalMilliseconds, now + (long)Hour.TotalMilliseconds + 60_000);
    }

    [Theory]
    [MemberData(nameof(Hours))]
    public async Task A_machine_with_a_wrong_clock_sees_nothing_expired_and_sweeps_it(int hours)
    {
        await using var right = await database.CreateStoreAsync();
        await using var wrong = await WrongAsync(right, hours);
        var store = wrong.Store;
        await store.SetAsync(["lives"], 1, Hour);
        await Rows.UntilAsync(() => wrong.Engine.Signals.SweepAt < long.MaxValue);
        var now = (await ServerTimeAsync(right)).ToUnixTimeMilliseconds();
        await right.InsertAsync(KvKey.Create(["gone"]).Encoded, [7, 0, 0, 0, 0, 0, 0, 0], 2, expiresAt: now - 1);

        Assert.Null(await store.GetAsync(["gone"]));
        Assert.False(await store.ExistsAsync(["gone"]));
        Assert.Null((await store.GetManyAsync([["gone"], ["lives"]]))[0]);
        Assert.Equal([["lives"]], await store.ListAsync(All, new() { Snapshot = true }).Select(static e => e.Key).ToListAsync());
        Assert.Equal([["lives"]], await store.ListKeysAsync(All, new() { Reverse = true }).ToListAsync());
        Assert.Equal(1, await store.CountAsync(All));
        Assert.True((await store.Atomic().Check(["gone"], null).CommitAsync()).Succeeded);
        Assert.Equal(2, await right.CountRowsAsync());

        await wrong.Engine.Sweeper.SweepAsync(CancellationToken.None);

        Assert.Equal(1, await right.CountRowsAsync());
        Assert.Equal(1, await right.Store.GetAsync<int>(["lives"]));
    }

    [Theory]
    [MemberData(nameof(Hours))]
    public async Task A_time_to_live_counts_from_the_commit_by_the_servers_clock(int hours)
    {
        await using var right = await database.CreateStoreAsync();
        await using var wrong = await WrongAsync(right, hours);
        await wrong.Store.SetAsync(["forever"], 1);
        var from = (await ServerTimeAsync(right)).ToUnixTimeMilliseconds();

        // Blind, dependent on what is stored, renewed, in a user's own transaction, and of what the queue notes.
        await wrong.Store.SetAsync(["blind"], 1, Hour);
        await wrong.Store.Atomic().Check(["dependent"], null).Set(["dependent"], 1, Hour).Set(["for ever"], 1).CommitAsync();
        await wrong.Store.SetAsync(["touched"], 1);
        await wrong.Store.Atomic().Touch(["touched"], Hour).CommitAsync();
        await using (var context = wrong.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            await wrong.Store.Atomic().Set(["nested"], 1, Hour).CommitAsync(context);
            await transaction.CommitAsync();
        }

        await wrong.Services.GetRequiredService<IKvQueue>().PauseAsync("t", Hour);
        var to = (await ServerTimeAsync(right)).ToUnixTimeMilliseconds();

        var hour = (long)Hour.TotalMilliseconds;
        foreach (var name in (string[])["blind", "dependent", "touched", "nested"])
        {
            Assert.InRange(await ExpiryAsync(right, name), from + hour, to + hour);
        }

        Assert.InRange(await ExpiryAsync(right, "efkv", "paused", "t"), from + hour, to + hour);
        Assert.Equal(-1, await ExpiryAsync(right, "forever"));
        Assert.Equal(-1, await ExpiryAsync(right, "for ever"));
    }

    [Theory]
    [MemberData(nameof(Hours))]
    public async Task An_entry_that_expires_is_swept_by_a_machine_with_a_wrong_clock_when_its_time_has_come(int hours)
    {
        await using var right = await database.CreateStoreAsync();
        await using var wrong = await WrongAsync(right, hours, static options => options.SweepInterval = TimeSpan.FromHours(5));
        await wrong.Store.SetAsync(["k"], 1);
        await Rows.UntilAsync(() => wrong.Engine.Signals.SweepAt < long.MaxValue);
        await using var watch = wrong.Store.WatchAsync([["k"]]).GetAsyncEnumerator();
        Assert.NotNull((await watch.NextAsync())[0]);

        // Nothing but the sweeper, which this commit wakes for the time that is left, tells the watcher of the end.
        await wrong.Store.SetAsync(["k"], 2, TimeSpan.FromMilliseconds(300));

        while ((await watch.NextAsync())[0] is not null)
        {
        }

        Assert.Equal(0, await right.CountRowsAsync());
    }

    [Theory]
    [MemberData(nameof(Hours))]
    public async Task A_machine_with_a_wrong_clock_forgets_no_commit_whose_outcome_may_be_asked_for(int hours)
    {
        await using var right = await database.CreateStoreAsync();
        await right.Store.SetAsync(["k"], 1);
        await using var wrong = await WrongAsync(right, hours);
        await wrong.Store.SetAsync(["k"], 2);
        await using var later = await database.CreateStoreAsync(connectionString: right.ConnectionString);
        await later.Store.SetAsync(["k"], 3);

        // The version row, and a mark of each.
        await using var context = right.CreateContext();
        Assert.Equal(4, await context.Database.SqlQueryRaw<int>("select count(*)::int as \"Value\" from data_version").SingleAsync());
    }

    [Fact]
    public async Task The_servers_clock_decides_unless_a_program_injects_one_or_says_otherwise()
    {
        await using var automatic = await database.CreateStoreAsync();
        await using var injected = await database.CreateStoreAsync(new ManualTime(), connectionString: automatic.ConnectionString);
        await using var told = await database.CreateStoreAsync(options: static o => o.Clock = KvClockSource.Injected, connectionString: automatic.ConnectionString);
        await using var forced = await database.CreateStoreAsync(new ManualTime(), static o => o.Clock = KvClockSource.Server, automatic.ConnectionString);

        Assert.True(automatic.Engine.Clock.ServerDecides);
        Assert.False(injected.Engine.Clock.ServerDecides);
        Assert.False(told.Engine.Clock.ServerDecides);
        Assert.True(forced.Engine.Clock.ServerDecides);
    }

    [Fact]
    public async Task What_time_it_is_on_the_server_is_known_from_the_first_answer_on_and_is_never_ahead_of_it()
    {
        await using var right = await database.CreateStoreAsync();
        await using var wrong = await WrongAsync(right, 2);
        await wrong.Store.GetAsync(["k"]);

        var known = wrong.Engine.Clock.UtcNow;
        var server = await ServerTimeAsync(right);

        Assert.InRange(known, server - TimeSpan.FromSeconds(30), server);
        Assert.InRange(await wrong.Engine.Reader.UtcNowAsync(CancellationToken.None), server, server + TimeSpan.FromSeconds(30));
    }

    private Task<KvTestStore> WrongAsync(KvTestStore right, int hours, Action<KvStoreOptions>? options = null) => database.CreateStoreAsync(
        new WrongTime(TimeSpan.FromHours(hours)),
        store =>
        {
            store.Clock = KvClockSource.Server;
            options?.Invoke(store);
        },
        right.ConnectionString);

    private static async Task<DateTimeOffset> ServerTimeAsync(KvTestStore test)
    {
        await using var context = test.CreateContext();
        return await context.Database.SqlQueryRaw<DateTimeOffset>("select clock_timestamp() as \"Value\"").SingleAsync();
    }

    private static async Task<long> ExpiryAsync(KvTestStore test, params KvKeyPart[] key)
    {
        await using var context = test.CreateContext();
        var bytes = KvKey.Create(key).Encoded.ToArray();
        return await context.Database.SqlQuery<long>($"select expiration_ms as \"Value\" from kv where k = {bytes}").SingleAsync();
    }
}
