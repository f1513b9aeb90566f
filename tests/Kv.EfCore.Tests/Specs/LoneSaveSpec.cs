using System.Data;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Specs;

/// <summary>Saves of one new entity and messages, which need no transaction where one command commits both.</summary>
public abstract class LoneSaveSpec(KvDatabase database)
{
    [Theory]
    [InlineData(1, true)]
    [InlineData(1, false)]
    [InlineData(3, true)]
    [InlineData(3, false)]
    public async Task An_entity_and_its_messages_are_saved_once_beside_others_that_did_not_change(int messages, bool isAsync)
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using var db = await log.FirstAsync(shop);
        List<string> ids = [];
        for (var i = 0; i < 8; i++)
        {
            db.Add(new ShopOrder { Name = $"{i}" });
            for (var n = 0; n < messages; n++)
            {
                db.Kv().Enqueue($"{i}.{n}", new() { Topic = "t", Delay = TimeSpan.FromMinutes(n), Priority = n });
            }

            await Saves.SaveAsync(db, isAsync);
            Assert.Equal(0, db.Kv().PendingCount);
            Assert.Null(db.Kv().LastCommit!.Versionstamp);
            Assert.True(await db.Kv().WasCommittedAsync());
            ids.AddRange(db.Kv().LastCommit!.MessageIds);
        }

        log.AssertAlone(database, saves: 8);
        Assert.Equal(ids, (await shop.MessagesAsync()).Skip(1));
        Assert.Equal(8 * messages, ids.Count);
        Assert.Equal(Enumerable.Range(0, 8).Select(static i => $"{i}"), (await shop.OrdersAsync()).Skip(1));
        await using var context = shop.Test.CreateContext();
        var stored = await context.QueuedMessages.Where(static m => m.Topic == "t").OrderBy(static m => m.Id).ToListAsync();
        Assert.All(stored, static m => Assert.Equal(60_000L * m.Priority, m.DueAt - m.EnqueuedAt));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_the_entity_is_refused_its_message_is_not_sent_and_goes_with_the_next_save(bool isAsync)
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using var db = await log.FirstAsync(shop);
        var twice = db.Add(new ShopOrder { Name = "first" }).Entity;
        db.Kv().Enqueue("m");

        var error = await Assert.ThrowsAsync<DbUpdateException>(() => Saves.SaveAsync(db, isAsync));
        Assert.Contains("unique", error.GetBaseException().Message, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(1, db.Kv().PendingCount);
        Assert.Equal(EntityState.Added, db.Entry(twice).State);
        Assert.False(await db.Kv().WasCommittedAsync());

        twice.Name = "second";
        await Saves.SaveAsync(db, isAsync);
        log.AssertAlone(database, saves: 2);
        Assert.Equal(["first", "second"], await shop.OrdersAsync());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_the_message_is_refused_the_entity_is_not_saved_and_both_go_with_the_next_save(bool isAsync)
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using var db = await log.FirstAsync(shop);

        // No trigger, which would be a reason for a transaction: the table itself refuses a second message of the name.
        await db.Database.ExecuteSqlRawAsync("create unique index refuses on queue (topic)");
        var order = db.Add(new ShopOrder { Name = "second" }).Entity;
        db.Kv().Enqueue("m");

        await Assert.ThrowsAnyAsync<Exception>(() => Saves.SaveAsync(db, isAsync));
        Assert.Equal(1, db.Kv().PendingCount);
        Assert.Equal(EntityState.Added, db.Entry(order).State);
        Assert.Equal(["first"], await shop.OrdersAsync());

        await db.Database.ExecuteSqlRawAsync("drop index refuses");
        await Saves.SaveAsync(db, isAsync);
        log.AssertAlone(database, saves: 2);
        Assert.Equal(["first", "second"], await shop.OrdersAsync());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
    }

    [Theory]
    [InlineData("change", true)]
    [InlineData("change", false)]
    [InlineData("add", true)]
    [InlineData("remove", true)]
    [InlineData("set", true)]
    [InlineData("group", true)]
    [InlineData("always", true)]
    [InlineData("never", true)]
    [InlineData("begin", true)]
    public async Task Whatever_is_more_than_one_new_entity_and_messages_has_a_transaction(string what, bool isAsync)
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using var db = await log.FirstAsync(shop);
        var first = db.ChangeTracker.Entries<ShopOrder>().Single().Entity;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m", new() { GroupKey = what == "group" ? "g" : null });
        db.Database.AutoTransactionBehavior = what == "always" ? AutoTransactionBehavior.Always
            : what == "never" ? AutoTransactionBehavior.Never : AutoTransactionBehavior.WhenNeeded;
        switch (what)
        {
            case "change":
                first.Name = "changed";
                break;
            case "add":
                db.Add(new ShopOrder { Name = "third" });
                break;
            case "remove":
                db.Remove(first);
                break;
            case "set":
                db.Kv().Set(["k"], 1);
                break;
            case "begin":
                await db.Database.BeginTransactionAsync();
                break;
        }

        await Saves.SaveAsync(db, isAsync);
        if (what == "begin")
        {
            Assert.Equal(1, db.Kv().PendingCount);
            await db.Database.CommitTransactionAsync();
        }

        Assert.Equal(1, log.Transactions);
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
        Assert.Contains("second", await shop.OrdersAsync());
        Assert.Equal(what is "remove" ? 1 : what is "add" ? 3 : 2, (await shop.OrdersAsync()).Length);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_connection_is_closed_after_each_save(bool fails)
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using (var first = await log.FirstAsync(shop))
        {
        }

        for (var i = 0; i < 3; i++)
        {
            await using var db = shop.Open();
            db.Add(new ShopOrder { Name = fails ? "first" : $"{i}" });
            db.Kv().Enqueue("m");
            var save = db.SaveChangesAsync();
            if (fails)
            {
                await Assert.ThrowsAsync<DbUpdateException>(() => save);
            }
            else
            {
                await save;
            }

            Assert.Equal(ConnectionState.Closed, db.Database.GetDbConnection().State);
        }

        Assert.Equal(fails ? 1 : 4, (await shop.MessagesAsync()).Length);
    }

    [Fact]
    public async Task A_save_that_keeps_its_entities_as_new_ones_sends_its_messages()
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using var db = await log.FirstAsync(shop);
        var order = db.Add(new ShopOrder { Name = "second" }).Entity;
        db.Kv().Enqueue("m");

        await db.SaveChangesAsync(acceptAllChangesOnSuccess: false);

        log.AssertAlone(database);
        Assert.Equal(EntityState.Added, db.Entry(order).State);
        Assert.Equal(0, db.Kv().PendingCount);
        db.ChangeTracker.AcceptAllChanges();
        Assert.Equal(2, (await shop.MessagesAsync()).Length);
    }
}

public sealed class SqliteLoneSaveTests(SqliteDatabase database) : LoneSaveSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresLoneSaveTests(PostgresDatabase database) : LoneSaveSpec(database), IClassFixture<PostgresDatabase>;
