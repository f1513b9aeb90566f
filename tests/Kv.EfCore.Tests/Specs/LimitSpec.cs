using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Each limit lets its value pass and refuses the next one, before anything is asked of the database.</summary>
public abstract class LimitSpec(KvDatabase database)
{
    private const int Mebibyte = 1 << 20;

    [Fact]
    public async Task A_store_without_a_database_shows_that_limits_come_first()
    {
        await using var nowhere = await NowhereAsync();

        var error = await Assert.ThrowsAnyAsync<Exception>(() => nowhere.Store.SetAsync(["k"], 1).AsTask());

        Assert.IsNotType<ArgumentException>(error, exactMatch: false);
    }

    [Fact]
    public async Task Each_limit_of_Deno_is_inclusive()
    {
        await using var test = await database.CreateStoreAsync(options: KvLimits.Deno);
        var store = test.Store;
        var atomic = store.Atomic();
        for (var i = 0; i < 100; i++)
        {
            atomic.Check(["none", i], null);
        }

        for (var i = 0; i < 999; i++)
        {
            atomic.Delete(["none", i]);
        }

        Assert.True((await atomic.Enqueue("m").CommitAsync()).Succeeded);
        await store.SetAsync(KeyOf(2048), new byte[65_536]);
        Assert.True(await store.ExistsAsync(KeyOf(2048)));
        await store.DeleteRangeAsync(KvRange.Prefix(KeyOf(2048)));
        await store.EnqueueAsync(new byte[65_536], new()
        {
            Delay = TimeSpan.FromDays(30),
            BackoffSchedule = [.. Enumerable.Repeat(TimeSpan.FromHours(1), 5)],
            KeysIfUndelivered = [.. Enumerable.Repeat(KeyOf(2048), 10)],
        });
        await SizedAsync(store, 819_200);
        await KeysSizedAsync(store, 81_920);
        Assert.Equal(10, (await store.GetManyAsync([.. Enumerable.Repeat(KeyOf(2049), 10)])).Count);
        await using var watch = store.WatchAsync([.. Enumerable.Repeat(KeyOf(2048), 10)]).GetAsyncEnumerator();
        Assert.Equal(10, (await watch.NextAsync()).Count);
    }

    [Fact]
    public async Task One_above_a_limit_of_Deno_is_refused_with_the_value_and_the_limit()
    {
        await using var nowhere = await NowhereAsync(KvLimits.Deno);
        var store = nowhere.Store;
        var (hour, ms) = (TimeSpan.FromHours(1), TimeSpan.FromMilliseconds(1));

        await RefusedAsync("Too many checks (max 100): the atomic write has 101.", "KvStoreOptions.MaxChecks", () =>
            Times(101, store.Atomic(), static (a, i) => a.Check(["k", i], null)).CommitAsync().AsTask());
        await RefusedAsync("Too many mutations (max 1000): the atomic write has 1001.", "KvStoreOptions.MaxMutations", () =>
            Times(1000, store.Atomic(), static (a, i) => a.Delete(["k", i])).Enqueue("m").CommitAsync().AsTask());
        await RefusedAsync("Value too large (max 65536 bytes): the value of [\"k\"] takes 65537 bytes.", "KvStoreOptions.MaxValueSize", () =>
            store.SetAsync(["k"], new byte[65_537]).AsTask());
        await RefusedAsync("enqueue payload too large (max 65536 bytes): the message takes 65537 bytes.", "KvStoreOptions.MaxMessageSize", () =>
            store.EnqueueAsync(new byte[65_537]).AsTask());
        await RefusedAsync("Total mutation size too large (max 819200 bytes): the atomic write has 819201 bytes.", "KvStoreOptions.MaxTotalSize", () =>
            SizedAsync(store, 819_201));
        await RefusedAsync("Total key size too large (max 81920 bytes): the atomic write has 81921 bytes.", "KvStoreOptions.MaxTotalKeySize", () =>
            KeysSizedAsync(store, 81_921));
        await RefusedAsync("The delay is 30.00:00:00.0010000; it must be zero to 30 days.", "set DueAt", () =>
            store.EnqueueAsync("m", new() { Delay = TimeSpan.FromDays(30) + ms }).AsTask());
        await RefusedAsync("The delay is -00:00:00.0010000; it must be zero to 30 days.", "", () =>
            store.EnqueueAsync("m", new() { Delay = -ms }).AsTask());
        await RefusedAsync("Invalid backoffSchedule, max 5 intervals allowed: received 6.", "fewer", () =>
            store.EnqueueAsync("m", new() { BackoffSchedule = [.. Enumerable.Repeat(ms, 6)] }).AsTask());
        await RefusedAsync("Invalid backoffSchedule, interval at index 1 is invalid: 01:00:00.0010000", "an hour", () =>
            store.EnqueueAsync("m", new() { BackoffSchedule = [hour, hour + ms] }).AsTask());
        await RefusedAsync("A message can have 10 keys if undelivered; received 11.", "", () =>
            store.EnqueueAsync("m", new() { KeysIfUndelivered = [.. Enumerable.Repeat(KeyOf(3), 11)] }).AsTask());
        await RefusedAsync("expireIn must be a non-negative TimeSpan: received -00:00:00.0010000 for [\"k\"].", "Leave it out", () => store.SetAsync(["k"], 1, -ms).AsTask());
        await RefusedAsync("expireIn is too large: 10675199.02:48:05.4775807 for [\"k\"].", "Leave it out", () => store.SetAsync(["k"], 1, TimeSpan.MaxValue).AsTask());
        await RefusedAsync("Too many ranges (max 10): received 11 keys.", "KvStoreOptions.MaxReadRanges", () =>
            store.GetManyAsync([.. Enumerable.Repeat(KeyOf(3), 11)]).AsTask());
        await RefusedAsync("Too many keys (max 10) or none: received 11.", "", () => Task.FromResult(store.WatchAsync([.. Enumerable.Repeat(KeyOf(3), 11)])));
        await RefusedAsync("Too many entries (max 1000): the batch size is 1001.", "KvStoreOptions.MaxReadEntries", () =>
            Task.FromResult(store.ListAsync(KvRange.Prefix([]), new() { BatchSize = 1001 })));
    }

    [Fact]
    public async Task Each_default_is_inclusive()
    {
        await using var test = await database.CreateStoreAsync();
        var store = test.Store;

        await store.Atomic().Set(["k"], new byte[Mebibyte]).Enqueue(new byte[Mebibyte]).CommitAsync();
        Assert.Equal(Mebibyte, (await store.GetAsync<byte[]>(["k"]))!.Length);
        var atomic = Times(1000, store.Atomic(), static (a, i) => a.Check(["n", i], null));
        await Times(9999, atomic, static (a, i) => a.Set(["n", i], i)).Enqueue("m").CommitAsync();
        Assert.Equal(9999, await store.CountAsync(KvRange.Prefix(["n"])));
        var many = await store.GetManyAsync([.. Enumerable.Range(0, 1000).Select(static i => KvKey.Create("n", i))]);
        Assert.Equal(Enumerable.Range(0, 1000), many.Select(static entry => entry!.As<int>()));
        await LargeAsync(store, 10 * Mebibyte);
    }

    [Fact]
    public async Task One_above_a_default_is_refused_with_the_value_and_the_limit()
    {
        await using var nowhere = await NowhereAsync();
        var store = nowhere.Store;

        await RefusedAsync("Value too large (max 1048576 bytes): the value of [\"k\"] takes 1048577 bytes.", "MaxValueSize", () =>
            store.SetAsync(["k"], new byte[Mebibyte + 1]).AsTask());
        await RefusedAsync("enqueue payload too large (max 1048576 bytes): the message takes 1048577 bytes.", "MaxMessageSize", () =>
            store.EnqueueAsync(new byte[Mebibyte + 1]).AsTask());
        await RefusedAsync("Too many checks (max 1000): the atomic write has 1001.", "MaxChecks", () =>
            Times(1001, store.Atomic(), static (a, i) => a.Check(["k", i], null)).CommitAsync().AsTask());
        await RefusedAsync("Too many mutations (max 10000): the atomic write has 10001.", "MaxMutations", () =>
            Times(10_001, store.Atomic(), static (a, i) => a.Delete(["k", i])).CommitAsync().AsTask());
        await RefusedAsync("Total mutation size too large (max 10485760 bytes): the atomic write has 10485761 bytes.", "MaxTotalSize", () =>
            LargeAsync(store, (10 * Mebibyte) + 1));
        await RefusedAsync("Too many ranges (max 1000): received 1001 keys.", "MaxReadRanges", () =>
            store.GetManyAsync([.. Enumerable.Repeat(KeyOf(3), 1001)]).AsTask());
    }

    [Fact]
    public async Task A_key_over_the_limit_or_without_parts_is_refused_wherever_it_is_written()
    {
        await using var nowhere = await NowhereAsync();
        var store = nowhere.Store;
        foreach (var (key, message) in ((KvKey, string)[])[
            (KeyOf(2049), "Key too large for write (max 2048 bytes): the key encodes to 2049 bytes."), ([], "key cannot be empty: give it at least one part")])
        {
            foreach (var add in (Action<KvAtomic>[])[
                a => a.Check(key, null), a => a.Set(key, 1), a => a.SetVersionstamped(key, 1), a => a.Delete(key), a => a.Sum(key, 1), a => a.SumWithin(key, 1),
                a => a.Min(key, 1), a => a.Max(key, 1), a => a.Touch(key, null), a => a.Enqueue("m", new() { KeysIfUndelivered = [key] })])
            {
                Assert.StartsWith(message, Assert.Throws<ArgumentException>(() => add(store.Atomic())).Message, StringComparison.Ordinal);
            }
        }

        foreach (var add in (Action<KvAtomic>[])[a => a.Check(null!, null), a => a.Set(null!, 1), a => a.Delete((KvKey)null!), a => a.Sum(null!, 1), a => a.Touch(null!, null)])
        {
            Assert.Equal("key", Assert.Throws<ArgumentNullException>(() => add(store.Atomic())).ParamName);
        }
    }

    [Fact]
    public async Task A_bound_over_the_limit_of_reads_is_refused()
    {
        await using var nowhere = await NowhereAsync();
        var larger = KvRange.Prefix(KeyOf(2049));
        const string Message = "Key too large for read (max 2049 bytes): a bound of the range takes 2050 bytes.";

        await RefusedAsync(Message, "Shorten", () => Task.FromResult(nowhere.Store.ListAsync(larger)));
        await RefusedAsync(Message, "Shorten", () => nowhere.Store.CountAsync(larger).AsTask());
        await RefusedAsync(Message, "Shorten", () => nowhere.Store.DeleteRangeAsync(larger).AsTask());
    }

    [Fact]
    public async Task Configured_limits_take_the_place_of_the_defaults()
    {
        await using var test = await database.CreateStoreAsync(options: static options =>
        {
            options.MaxValueSize = options.MaxMessageSize = 1_000_000;
            options.MaxTotalSize = 3_000_000;
            options.MaxChecks = 101;
            options.MaxMutations = 1001;
            options.MaxTotalKeySize = 81_921;
            options.MaxReadRanges = 11;
            options.MaxReadEntries = 1001;
        });
        var store = test.Store;

        await store.Atomic().Set(["k"], new byte[1_000_000]).Enqueue(new byte[1_000_000]).CommitAsync();
        await Times(1001, Times(101, store.Atomic(), static (a, i) => a.Check(["n", i], null)), static (a, i) => a.Set(["n", i], i)).CommitAsync();
        await KeysSizedAsync(store, 81_921);

        Assert.Equal(1_000_000, (await store.GetAsync<byte[]>(["k"]))!.Length);
        Assert.Equal(11, (await store.GetManyAsync([.. Enumerable.Repeat(KeyOf(3), 11)])).Count);
        Assert.Equal(1001, await store.ListKeysAsync(KvRange.Prefix(["n"]), new() { BatchSize = 1001 }).CountAsync());
        await RefusedAsync("Value too large (max 1000000 bytes)", "1000001", () => store.SetAsync(["k"], new byte[1_000_001]).AsTask());
    }

    // A string part takes two bytes more than its text.
    private static KvKey KeyOf(int size, char fill = 'k') => [new string(fill, size - 2)];

    private static KvAtomic Times(int count, KvAtomic atomic, Func<KvAtomic, int, KvAtomic> add) => Enumerable.Range(0, count).Aggregate(atomic, add);

    // Ten values with keys of 3 bytes, which count twice, and what is left of the size.
    private static Task<KvCommitResult> LargeAsync(IKvStore store, int size) =>
        Times(9, store.Atomic(), static (a, i) => a.Set(KeyOf(3, (char)('a' + i)), new byte[Mebibyte]))
            .Set(KeyOf(3), new byte[size - (9 * (Mebibyte + 6)) - 6]).CommitAsync().AsTask();

    // Thirteen values with keys of 3 bytes, which count twice.
    private static Task<KvCommitResult> SizedAsync(IKvStore store, int size) =>
        Times(12, store.Atomic(), static (a, i) => a.Set(KeyOf(3, (char)('a' + i)), new byte[65_536])).Set(KeyOf(3), new byte[size - (12 * (65_536 + 6)) - 6]).CommitAsync().AsTask();

    private static Task<KvCommitResult> KeysSizedAsync(IKvStore store, int size) =>
        Times(39, store.Atomic(), static (a, i) => a.Set(KeyOf(2048, (char)('A' + i)), 1)).Set(KeyOf(2045), 1).Sum(KeyOf(size - (39 * 2048) - 2045, 's'), 1).CommitAsync().AsTask();

    private static async Task RefusedAsync(string message, string remedy, Func<Task> call)
    {
        var error = await Assert.ThrowsAsync<ArgumentException>(call);
        Assert.StartsWith(message, error.Message, StringComparison.Ordinal);
        Assert.Contains(remedy, error.Message, StringComparison.Ordinal);
    }

    private async Task<KvTestStore> NowhereAsync(Action<KvStoreOptions>? options = null) => await database.CreateStoreAsync(
        options: options,
        connectionString: (await database.CreateEmptyAsync()).Replace("Database=", "Database=no_", StringComparison.Ordinal));
}

public sealed class SqliteLimitTests(SqliteDatabase database) : LimitSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresLimitTests(PostgresDatabase database) : LimitSpec(database), IClassFixture<PostgresDatabase>;
