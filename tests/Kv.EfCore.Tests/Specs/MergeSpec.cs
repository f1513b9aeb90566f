using System.Text.Json;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>Merge operators fold operands into what is stored when the commit runs.</summary>
public abstract class MergeSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();

    [Fact]
    public async Task The_operators_that_every_store_has_work_on_json()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["settings"], new { Theme = "dark", Size = 3, Old = true });

        for (var i = 0; i < 2; i++)
        {
            await test.Store.MergeAsync(["text"], KvMerge.Concat, "ab");
            await test.Store.MergeAsync(["list"], KvMerge.Append, new Line("x", i));
            await test.Store.MergeAsync(["tags"], KvMerge.Union, new HashSet<string> { "one", $"tag {i}" });
            await test.Store.MergeAsync(["settings"], KvMerge.MergePatch, new { Size = i, Old = (bool?)null, Font = "mono" });
        }

        Assert.Equal("abab", await test.Store.GetAsync<string>(["text"]));
        Assert.Equal([new Line("x", 0), new Line("x", 1)], await test.Store.GetAsync<List<Line>>(["list"]));
        Assert.Equal(["one", "tag 0", "tag 1"], await test.Store.GetAsync<HashSet<string>>(["tags"]));
        Assert.Equal("""{"Theme":"dark","Size":1,"Font":"mono"}""", (await test.Store.GetAsync<JsonElement>(["settings"])).GetRawText());
    }

    [Fact]
    public async Task Numbers_and_values_that_are_json_already_are_operands_too()
    {
        await using var test = await database.CreateStoreAsync();

        await test.Store.Atomic()
            .Merge(["n"], KvMerge.Append, 5UL).Merge(["n"], KvMerge.Append, new KvValue("6"u8, KvEncoding.Json))
            .CommitAsync();

        Assert.Equal([5, 6], await test.Store.GetAsync<List<int>>(["n"]));
    }

    [Fact]
    public async Task An_operator_of_the_application_folds_operands_of_a_type_of_their_own()
    {
        await using var test = await database.CreateStoreAsync(options: static options => options
            .AddMerge<int>("largest", static (existing, operand) => Math.Max(existing, operand))
            .AddMerge<byte[]>("join", static (existing, operand) => [.. existing ?? [], .. operand])
            .AddMerge<Basket, Line>("add line", static (basket, line) => new Basket([.. basket?.Lines ?? [], line]))
            .AddMerge<string>(KvMerge.Concat, static (existing, operand) => $"{existing}, {operand}"));

        foreach (var number in (int[])[3, 7, 5])
        {
            await test.Store.Atomic()
                .Merge(["largest"], "largest", number)
                .Merge(["bytes"], "join", new[] { (byte)number })
                .Merge(["basket"], "add line", new Line("x", number))
                .Merge(["text"], KvMerge.Concat, $"{number}")
                .CommitAsync();
        }

        Assert.Equal(7, await test.Store.GetAsync<int>(["largest"]));
        Assert.Equal([3, 7, 5], await test.Store.GetAsync<byte[]>(["bytes"]));
        Assert.Equal(KvEncoding.Bytes, (await test.Store.GetAsync(["bytes"]))!.Value.Encoding);
        Assert.Equal([3, 7, 5], (await test.Store.GetAsync<Basket>(["basket"]))!.Lines.Select(static l => l.Count));
        Assert.Equal(", 3, 7, 5", await test.Store.GetAsync<string>(["text"]));
    }

    [Fact]
    public async Task Merges_of_one_write_see_what_comes_before_them_in_it()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.Atomic().Set(["set"], "old").Set(["deleted"], "old").Set(["range"], "old").CommitAsync();

        await test.Store.Atomic()
            .Set(["set"], "new").Merge(["set"], KvMerge.Concat, "1").Merge(["set"], KvMerge.Concat, "2")
            .Delete(["deleted"]).Merge(["deleted"], KvMerge.Concat, "1")
            .DeleteRange(KvRange.Between(["range"], ["range", 0])).Merge(["range"], KvMerge.Concat, "1")
            .Merge(["gone"], KvMerge.Concat, "1").Delete(["gone"])
            .CommitAsync();

        Assert.Equal("new12", await test.Store.GetAsync<string>(["set"]));
        Assert.Equal("1", await test.Store.GetAsync<string>(["deleted"]));
        Assert.Equal("1", await test.Store.GetAsync<string>(["range"]));
        Assert.Null(await test.Store.GetAsync(["gone"]));
    }

    [Fact]
    public async Task Operands_of_many_writers_in_two_stores_are_all_there_once_and_in_each_writers_order()
    {
        await using var test = await database.CreateStoreAsync();
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);

        await Task.WhenAll(Enumerable.Range(0, 16).Select(writer => Task.Run(async () =>
        {
            for (var i = 0; i < 20; i++)
            {
                await (writer % 2 == 0 ? test : other).Store.MergeAsync(["log"], KvMerge.Append, new Line($"{writer}", i));
            }
        })));

        var log = await test.Store.GetAsync<List<Line>>(["log"]);
        Assert.Equal(320, log!.Count);
        Assert.All(
            log.GroupBy(static line => line.Name),
            static of => Assert.Equal(Enumerable.Range(0, 20), of.Select(static line => line.Count)));
    }

    [Fact]
    public async Task A_merge_takes_a_versionstamp_stands_beside_checks_and_is_seen_by_watchers()
    {
        await using var test = await database.CreateStoreAsync();
        await using var watch = test.Store.WatchAsync([["log"]]).GetAsyncEnumerator();
        await watch.NextAsync();

        var first = await test.Store.MergeAsync(["log"], KvMerge.Append, 1);
        var seen = Assert.Single(await watch.NextAsync())!;
        var late = await test.Store.Atomic().Check(["log"], null).Merge(["log"], KvMerge.Append, 2).CommitAsync();
        var good = await test.Store.Atomic().Check(["log"], first).Merge(["log"], KvMerge.Append, 3).CommitAsync();

        Assert.Equal((first, "[1]"), (seen.Versionstamp, seen.As<JsonElement>().GetRawText()));
        Assert.Equal((false, true), (late.Succeeded, good.Succeeded));
        var entry = (await test.Store.GetAsync(["log"]))!;
        Assert.Equal([1, 3], entry.As<List<int>>());
        Assert.Equal(good.Versionstamp, entry.Versionstamp);
        Assert.True(good.Versionstamp > first);
    }

    [Fact]
    public async Task An_entry_keeps_its_expiry_and_one_that_a_merge_begins_may_have_one()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.SetAsync(["kept"], "a", TimeSpan.FromMinutes(1));

        await test.Store.Atomic()
            .Merge(["kept"], KvMerge.Concat, "b", TimeSpan.FromHours(1))
            .Merge(["begun"], KvMerge.Concat, "b", TimeSpan.FromMinutes(2)).Merge(["begun"], KvMerge.Concat, "c")
            .Merge(["for ever"], KvMerge.Concat, "b")
            .CommitAsync();
        _time.Advance(TimeSpan.FromSeconds(90));

        Assert.Null(await test.Store.GetAsync(["kept"]));
        Assert.Equal("bc", await test.Store.GetAsync<string>(["begun"]));
        await test.Store.MergeAsync(["kept"], KvMerge.Concat, "new");
        _time.Advance(TimeSpan.FromDays(1));
        Assert.Null(await test.Store.GetAsync(["begun"]));
        Assert.Equal("new", await test.Store.GetAsync<string>(["kept"]));
        Assert.Equal("b", await test.Store.GetAsync<string>(["for ever"]));
    }

    [Fact]
    public async Task Two_stores_have_operators_of_their_own()
    {
        var (one, two) = (await database.CreateMigratedAsync(), await database.CreateMigratedAsync());
        await using var test = await database.CreateStoreAsync(connectionString: one, services: services => services
            .AddKvStore("sums", (_, db) => database.Configure(db, two), options =>
            {
                database.Place(options);
                options.AddMerge<int>("fold", static (a, b) => a + b).AddMerge<int>("only", static (_, b) => b);
            })
            .Configure<KvStoreOptions>(static options => options.AddMerge<int>("fold", static (a, b) => (a * 10) + b)));
        var sums = test.Services.GetRequiredKeyedService<IKvStore>("sums");

        for (var i = 1; i <= 3; i++)
        {
            await test.Store.MergeAsync(["n"], "fold", i);
            await sums.MergeAsync(["n"], "fold", i);
        }

        Assert.Equal(123, await test.Store.GetAsync<int>(["n"]));
        Assert.Equal(6, await sums.GetAsync<int>(["n"]));
        await sums.MergeAsync(["m"], "only", 1);
        Assert.Throws<ArgumentException>(() => test.Store.Atomic().Merge(["m"], "only", 1));
        database.Release(two);
    }

    [Fact]
    public async Task A_merge_in_a_scope_changes_the_key_of_the_scope()
    {
        await using var test = await database.CreateStoreAsync(
            options: static options => options.AddMerge<int>("sum", static (a, b) => a + b));
        var scope = test.Store.Scope(["t", 1L]);
        await test.Store.SetAsync(["n"], 7);

        await scope.MergeAsync(["n"], "sum", 1);
        await scope.Atomic().Merge(["n"], "sum", 2).CommitAsync();

        Assert.Equal(3, await scope.GetAsync<int>(["n"]));
        Assert.Equal(3, await test.Store.GetAsync<int>(["t", 1L, "n"]));
        Assert.Equal(7, await test.Store.GetAsync<int>(["n"]));
    }

    [Fact]
    public async Task A_transaction_block_and_the_users_own_transaction_merge_as_well()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.TransactAsync(async (transaction, token) =>
        {
            Assert.Null(await transaction.GetAsync(["log"], token));
            transaction.Writes.Merge(["log"], KvMerge.Append, 1);
        });
        await using (var context = test.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            await test.Store.Atomic().Merge(["log"], KvMerge.Append, 2).CommitAsync(context);
            await test.Store.Atomic().Merge(["log"], KvMerge.Append, 3).CommitAsync(context);
            await Assert.ThrowsAsync<KvException>(
                () => test.Store.Atomic().Merge(["log"], KvMerge.Concat, "x").CommitAsync(context).AsTask());
            await transaction.CommitAsync();
        }

        Assert.Equal([1, 2, 3], await test.Store.GetAsync<List<int>>(["log"]));
    }

    [Fact]
    public async Task A_unit_of_work_reads_and_commits_what_it_merges()
    {
        await using var shop = await Shop.OpenAsync(
            database, store: static options => options.AddMerge<int>("sum", static (a, b) => a + b));
        await shop.Store.Atomic().Set(["log"], new string('x', 100)).Set(["n"], 1).CommitAsync();
        await using var db = shop.Open();
        db.Kv().Merge(["log"], KvMerge.Concat, "y").Merge(["n"], "sum", 2).Merge(["n"], "sum", 3).Merge(["new"], KvMerge.Append, 1);

        Assert.Equal(101, (await db.Kv().GetAsync<string>(["log"]))!.Length);
        Assert.Equal(6, await db.Kv().GetAsync<int>(["n"]));
        Assert.Equal([1], await db.Kv().GetAsync<List<int>>(["new"]));
        Assert.Equal(1, await shop.Store.GetAsync<int>(["n"]));
        await shop.Store.MergeAsync(["n"], "sum", 10);
        await db.SaveChangesAsync();

        Assert.Equal(16, await shop.Store.GetAsync<int>(["n"]));
        Assert.Equal(new string('x', 100) + "y", await shop.Store.GetAsync<string>(["log"]));
        db.Kv().Merge(["n"], KvMerge.Append, 1);
        Assert.Equal(KvErrorKind.Type, (await Assert.ThrowsAsync<KvException>(() => db.Kv().GetAsync(["n"]).AsTask())).Kind);
        Assert.Equal(KvErrorKind.Type, (await Assert.ThrowsAsync<KvException>(() => db.SaveChangesAsync())).Kind);
        Assert.Equal(16, await shop.Store.GetAsync<int>(["n"]));
    }

    private sealed record Line(string Name, int Count);

    private sealed record Basket(IReadOnlyList<Line> Lines);
}

public sealed class SqliteMergeTests(SqliteDatabase database) : MergeSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresMergeTests(PostgresDatabase database) : MergeSpec(database), IClassFixture<PostgresDatabase>;
