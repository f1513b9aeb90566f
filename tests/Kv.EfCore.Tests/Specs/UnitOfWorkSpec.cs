using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.Tests.Specs;

/// <summary>What <c>db.Kv()</c> collects is committed with the entities of a save, or not at all.</summary>
public abstract class UnitOfWorkSpec(KvDatabase database)
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task One_entity_with_a_message_and_an_entry_is_one_commit(bool isAsync)
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        db.Orders.Add(new ShopOrder { Name = "first" });
        db.Kv().Enqueue("m").Set(["order"], "first").Sum(["orders"], 1);
        Assert.Empty(await shop.Test.KeysAsync());

        await Saves.SaveAsync(db, isAsync);

        var commit = db.Kv().LastCommit!;
        Assert.Equal(["first"], await shop.OrdersAsync());
        Assert.Equal(await shop.MessagesAsync(), commit.MessageIds);
        Assert.Equal(commit.Versionstamp, (await shop.Store.GetAsync(["order"]))!.Versionstamp);
        Assert.Equal(1UL, await shop.Store.GetAsync<ulong>(["orders"]));
        Assert.Equal(0, db.Kv().PendingCount);
        Assert.Equal(AutoTransactionBehavior.WhenNeeded, db.Database.AutoTransactionBehavior);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_message_that_is_committed_with_entities_is_stored_as_any_other(int count)
    {
        var time = new ManualTime();
        await using var shop = await Shop.OpenAsync(database, store: static options => options.Clock = KvClockSource.Injected, time: time);
        KvEnqueueOptions[] all =
        [
            new(),
            new() { Delay = TimeSpan.FromMinutes(5), Priority = 3, KeysIfUndelivered = [["dead"]] },
            new() { Topic = "other", DueAt = time.GetUtcNow().AddDays(100), BackoffSchedule = [TimeSpan.FromSeconds(1)] },
        ];
        foreach (var options in all)
        {
            List<string> ids = [(await shop.Store.EnqueueAsync("m", options)).MessageId];
            await using var db = shop.Open();
            db.Orders.Add(new ShopOrder { Name = ids[0] });
            for (var i = 0; i < count; i++)
            {
                db.Kv().Enqueue("m", options);
            }

            await db.SaveChangesAsync();
            ids.AddRange(db.Kv().LastCommit!.MessageIds);

            await using var context = shop.Test.CreateContext();
            var rows = await context.QueuedMessages.Where(m => ids.Contains(m.Id)).OrderBy(static m => m.Id).ToListAsync();
            var columns = rows.ConvertAll(row => string.Join(", ", context.Entry(row).Properties
                .Where(static p => p.Metadata.Name is not ("Id" or "Version" or "Trace"))
                .Select(static p => $"{p.Metadata.Name}={(p.CurrentValue is byte[] b ? Convert.ToHexString(b) : p.CurrentValue)}")));
            Assert.Equal(count + 1, columns.Count);
            Assert.Single(columns.Distinct());
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Without_entities_a_save_commits_what_is_collected(bool isAsync)
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        db.Kv().Set(["k"], 1).Enqueue("m");

        await Saves.SaveAsync(db, isAsync);

        Assert.Equal(db.Kv().LastCommit!.Versionstamp, (await shop.Store.GetAsync(["k"]))!.Versionstamp);
        Assert.Equal(await shop.MessagesAsync(), db.Kv().LastCommit!.MessageIds);
        await Saves.SaveAsync(db, isAsync);
        Assert.Single(await shop.MessagesAsync());
    }

    [Fact]
    public async Task A_save_after_another_one_commits_only_what_came_since()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        for (var i = 0; i < 3; i++)
        {
            db.Orders.Add(new ShopOrder { Name = $"{i}" });
            db.Kv().Sum(["n"], 1).Enqueue("m");
            await db.SaveChangesAsync();
        }

        Assert.Equal(3UL, await shop.Store.GetAsync<ulong>(["n"]));
        Assert.Equal(3, (await shop.MessagesAsync()).Length);
        Assert.Equal(3, (await shop.OrdersAsync()).Length);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_failed_check_refuses_entities_and_all_and_again_until_what_is_collected_is_cleared(bool isAsync)
    {
        await using var shop = await Shop.OpenAsync(database);
        var stamp = await shop.Store.SetAsync(["stock"], 5);
        await using var db = shop.Open();
        db.Orders.Add(new ShopOrder { Name = "first" });
        db.Kv().Check(["stock"], stamp).Check(["other"], stamp).Set(["stock"], 4).Enqueue("m");
        await shop.Store.SetAsync(["stock"], 3);

        for (var i = 0; i < 2; i++)
        {
            var error = await Assert.ThrowsAsync<KvConflictException>(() => Saves.SaveAsync(db, isAsync));
            Assert.Equal([["stock"], ["other"]], error.FailedChecks.Select(static c => c.Key));
            Assert.Contains("[\"stock\"], [\"other\"]", error.Message, StringComparison.Ordinal);
            Assert.Empty(error.Entries);
            Assert.Equal(4, db.Kv().PendingCount);
            Assert.Equal(EntityState.Added, db.ChangeTracker.Entries<ShopOrder>().Single().State);
        }

        Assert.Empty(await shop.OrdersAsync());
        Assert.Empty(await shop.MessagesAsync());
        Assert.Equal(3, await shop.Store.GetAsync<int>(["stock"]));
        Assert.Null(db.Kv().LastCommit);
        Assert.Equal(AutoTransactionBehavior.WhenNeeded, db.Database.AutoTransactionBehavior);

        db.Kv().Clear();
        await Saves.SaveAsync(db, isAsync);
        Assert.Equal(["first"], await shop.OrdersAsync());
        Assert.Empty(await shop.MessagesAsync());
    }

    [Fact]
    public async Task A_failed_check_refuses_a_save_without_entities_too()
    {
        await using var shop = await Shop.OpenAsync(database);
        var stamp = await shop.Store.SetAsync(["k"], 1);
        await using var db = shop.Open();
        db.Kv().Check(["k"], null).Enqueue("m");

        var error = await Assert.ThrowsAsync<KvConflictException>(() => db.SaveChangesAsync());

        Assert.Equal(new KvFailedCheck(0, ["k"], stamp), Assert.Single(error.FailedChecks));
        Assert.Equal(2, db.Kv().PendingCount);
        Assert.Empty(await shop.MessagesAsync());
    }

    [Fact]
    public async Task A_change_that_cannot_be_done_refuses_the_entities()
    {
        await using var shop = await Shop.OpenAsync(database);
        await shop.Store.SetAsync(["text"], "t");
        await using var db = shop.Open();
        db.Orders.Add(new ShopOrder { Name = "first" });
        db.Kv().Sum(["text"], 1);

        Assert.Equal(KvErrorKind.Type, (await Assert.ThrowsAsync<KvException>(() => db.SaveChangesAsync())).Kind);

        Assert.Empty(await shop.OrdersAsync());
    }

    [Fact]
    public async Task An_entity_that_is_refused_keeps_what_is_collected_for_the_next_save()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        db.Orders.Add(new ShopOrder { Name = "taken" });
        await db.SaveChangesAsync();
        var second = new ShopOrder { Name = "taken" };
        db.Orders.Add(second);
        db.Kv().Enqueue("m");

        await Assert.ThrowsAsync<DbUpdateException>(() => db.SaveChangesAsync());
        Assert.Empty(await shop.MessagesAsync());

        second.Name = "free";
        await db.SaveChangesAsync();
        Assert.Equal(db.Kv().LastCommit!.MessageIds, await shop.MessagesAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_an_interceptor_of_the_users_collects_while_changes_are_saved_is_part_of_the_save(bool comesFirst)
    {
        var raises = new Raises();
        await using var shop = await Shop.OpenAsync(
            database,
            context: options => options.AddInterceptors(comesFirst ? [raises] : []),
            after: options => options.AddInterceptors(comesFirst ? [] : [raises]));
        await using var db = shop.Open();
        db.Orders.Add(new ShopOrder { Name = "first" });

        await db.SaveChangesAsync();

        Assert.Equal(db.Kv().LastCommit!.MessageIds, await shop.MessagesAsync());
        Assert.Single(await shop.MessagesAsync());

        // A commit of the store's own would have taken one.
        Assert.Null(db.Kv().LastCommit!.Versionstamp);
        Assert.Equal(AutoTransactionBehavior.WhenNeeded, db.Database.AutoTransactionBehavior);
    }

    [Fact]
    public async Task Messages_that_nothing_orders_take_no_version_and_others_do()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        var before = await shop.Test.VersionAsync();

        db.Orders.Add(new ShopOrder { Name = "plain" });
        db.Kv().Enqueue("m").Enqueue("n", new() { Delay = TimeSpan.FromMinutes(1), Priority = 3, RateKey = "r" });
        await db.SaveChangesAsync();
        Assert.Null(db.Kv().LastCommit!.Versionstamp);
        Assert.Equal(2, db.Kv().LastCommit!.MessageIds.Count);
        Assert.Equal(before, await shop.Test.VersionAsync());

        KvEnqueueOptions[] ordered = [new() { GroupKey = "g" }, new() { ConcurrencyKey = "c" }, new() { UniqueKey = "u" }];
        foreach (var options in ordered)
        {
            db.Orders.Add(new ShopOrder { Name = $"{options}" });
            db.Kv().Enqueue("m", options);
            await db.SaveChangesAsync();
            Assert.Equal(KvVersionstamp.FromVersion(++before), db.Kv().LastCommit!.Versionstamp);
        }

        Assert.Equal(before, await shop.Test.VersionAsync());
        Assert.Equal(5, (await shop.MessagesAsync()).Length);
    }

    [Fact]
    public async Task Sixteen_units_of_work_on_one_counter_lose_nothing()
    {
        const int Callers = 16, Times = 5;
        await using var shop = await Shop.OpenAsync(database);

        await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(async () =>
        {
            for (var i = 0; i < Times; i++)
            {
                await using var db = shop.Open();
                db.Orders.Add(new ShopOrder { Name = $"{caller}-{i}" });
                db.Kv().Sum(["orders"], 1).Enqueue("m");
                await db.SaveChangesAsync();
            }
        })));

        Assert.Equal((ulong)(Callers * Times), await shop.Store.GetAsync<ulong>(["orders"]));
        Assert.Equal(Callers * Times, (await shop.OrdersAsync()).Length);
        Assert.Equal(Callers * Times, (await shop.MessagesAsync()).Length);
    }

    [Fact]
    public async Task Workers_of_the_process_are_told_when_the_save_is_committed_and_not_before()
    {
        await using var shop = await Shop.OpenAsync(database);
        await shop.Store.SetAsync(["opened"], 1);
        var told = 0;
        shop.Test.Engine.Signals.MessagesQueued += () => Interlocked.Increment(ref told);
        await using var db = shop.Open();
        await using var transaction = await db.Database.BeginTransactionAsync();
        db.Kv().Enqueue("m");
        await db.SaveChangesAsync();
        Assert.Equal(0, told);

        await transaction.CommitAsync();

        Assert.Equal(1, told);
    }

    private sealed class Raises : SaveChangesInterceptor
    {
        public override ValueTask<InterceptionResult<int>> SavingChangesAsync(
            DbContextEventData eventData, InterceptionResult<int> result, CancellationToken cancellationToken = default)
        {
            eventData.Context!.Kv().Enqueue("raised");
            return new(result);
        }
    }
}

public sealed class SqliteUnitOfWorkTests(SqliteDatabase database) : UnitOfWorkSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresUnitOfWorkTests(PostgresDatabase database) : UnitOfWorkSpec(database), IClassFixture<PostgresDatabase>;
