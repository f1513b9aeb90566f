using System.Data.Common;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Specs;

/// <summary>Messages that a command of <c>SaveChanges</c> takes along.</summary>
public abstract class AppendedSpec(KvDatabase database)
{
    public static MatrixTheoryData<string, int, bool, bool, int> Changes { get; } =
        new(["add", "add many", "update", "remove", "all"], [1, 3], [true, false], [true, false], [1, 1000]);

    [Theory]
    [MemberData(nameof(Changes))]
    public async Task Whatever_a_save_does_its_messages_go_with_it_once(string change, int messages, bool isAsync, bool retries, int batch)
    {
        var commands = new SaveCommands();
        await using var shop = await Saves.OpenAsync(database, commands, retries, batch);
        await using var db = shop.Open();
        await db.Database.OpenConnectionAsync();
        List<string> ids = [];
        List<ShopOrder> orders = [.. Enumerable.Range(0, 20).Select(static i => new ShopOrder { Name = $"old {i}" })];
        db.AddRange(orders);
        await db.SaveChangesAsync();
        var expected = orders.ConvertAll(static o => o.Name);
        for (var i = 0; i < 8; i++)
        {
            Change(i);
            for (var n = 0; n < messages; n++)
            {
                db.Kv().Enqueue(
                    $"{i}.{n}", new() { Topic = "t", Delay = TimeSpan.FromMinutes(n), Priority = n, RateKey = n == 0 ? null : "r" });
            }

            var rode = commands.Appended;
            await Saves.SaveAsync(db, isAsync);

            if (i > 0)
            {
                Assert.Equal(Saves.Appended(database, messages, retries), commands.Appended - rode);
            }

            Assert.Equal(0, db.Kv().PendingCount);
            Assert.Equal(messages, db.Kv().LastCommit!.MessageIds.Count);
            ids.AddRange(db.Kv().LastCommit!.MessageIds);
        }

        Assert.Equal(expected.Order(), (await shop.OrdersAsync()).Order());
        await using var context = shop.Test.CreateContext();
        var stored = await context.QueuedMessages.OrderBy(static m => m.Id).ToListAsync();
        Assert.Equal(ids, stored.Select(static m => m.Id));
        Assert.Equal(Enumerable.Range(0, ids.Count).Select(i => i % messages), stored.Select(static m => m.Priority));
        Assert.All(stored, static m => Assert.Equal(
            (60_000L * m.Priority, "t", m.Priority == 0 ? null : "r"), (m.DueAt - m.EnqueuedAt, m.Topic, m.RateKey)));

        void Change(int i)
        {
            if (change is "add" or "add many" or "all")
            {
                for (var n = 0; n < (change == "add many" ? 3 : 1); n++)
                {
                    db.Add(new ShopOrder { Name = $"{i}.{n}" });
                    expected.Add($"{i}.{n}");
                }
            }

            if (change is "update" or "all")
            {
                expected.Remove(orders[i].Name);
                orders[i].Name = $"updated {i}";
                expected.Add(orders[i].Name);
            }

            if (change is "remove" or "all")
            {
                expected.Remove(orders[10 + i].Name);
                db.Remove(orders[10 + i]);
            }
        }
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(true, 3)]
    [InlineData(false, 1)]
    [InlineData(false, 3)]
    public async Task A_save_that_fails_takes_its_messages_back_and_keeps_them_for_the_next_one(bool isAsync, int messages)
    {
        var commands = new SaveCommands();
        await using var shop = await Saves.OpenAsync(database, commands);
        await using var db = shop.Open();
        await Saves.FirstAsync(db, commands);
        var twice = db.Add(new ShopOrder { Name = "first" }).Entity;
        db.Add(new ShopOrder { Name = "second" });
        for (var n = 0; n < messages; n++)
        {
            db.Kv().Enqueue("m");
        }

        var error = await Assert.ThrowsAsync<DbUpdateException>(() => Saves.SaveAsync(db, isAsync));
        var cause = Assert.IsType<DbException>(error.InnerException, exactMatch: false);
        Assert.Contains("unique", cause.Message, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(Saves.Appended(database, messages, retries: false), commands.Appended);
        Assert.Equal(messages, db.Kv().PendingCount);
        Assert.Single(await shop.MessagesAsync());

        twice.Name = "third";
        await Saves.SaveAsync(db, isAsync);
        Assert.Equal(2 * Saves.Appended(database, messages, retries: false), commands.Appended);
        Assert.Equal(["first", "second", "third"], (await shop.OrdersAsync()).Order());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_an_entity_was_changed_by_others_its_messages_are_not_sent(bool isAsync)
    {
        var commands = new SaveCommands();
        await using var shop = await Saves.OpenAsync(database, commands);
        await using var db = shop.Open();
        var first = await Saves.FirstAsync(db, commands);
        await using (var other = shop.Open())
        {
            await other.Orders.ExecuteDeleteAsync();
        }

        first.Name = "changed";
        db.Kv().Enqueue("m");
        await Assert.ThrowsAsync<DbUpdateConcurrencyException>(() => Saves.SaveAsync(db, isAsync));

        Assert.Equal(1, commands.Appended);
        Assert.Equal(1, db.Kv().PendingCount);
        Assert.Single(await shop.MessagesAsync());
    }

    [Fact]
    public async Task A_mark_tells_of_the_commit_whose_message_a_command_took_along()
    {
        var commands = new SaveCommands();
        await using var shop = await Saves.OpenAsync(database, commands, retries: true);
        await using var db = shop.Open();
        await Saves.FirstAsync(db, commands);
        var marks = shop.Test.Engine.JoinedMarks.Take();
        var next = marks.Current with { Sequence = marks.Current.Sequence + 1 };
        shop.Test.Engine.JoinedMarks.Return(marks);
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        await db.SaveChangesAsync();

        Assert.NotNull(await shop.Test.Engine.Runner.ResolveAsync(next, default));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_message_that_the_database_refuses_takes_the_entities_back_and_goes_with_the_next_save(bool isAsync)
    {
        var commands = new SaveCommands();
        await using var shop = await Saves.OpenAsync(database, commands);
        await using var db = shop.Open();
        await Saves.FirstAsync(db, commands);
        await Saves.RefuseMessagesAsync(database, db);
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        var error = await Assert.ThrowsAnyAsync<Exception>(() => Saves.SaveAsync(db, isAsync));
        Assert.Contains("no messages now", error.GetBaseException().Message, StringComparison.Ordinal);
        Assert.Equal(1, commands.Appended);
        Assert.Equal(1, db.Kv().PendingCount);
        Assert.Equal(["first"], await shop.OrdersAsync());

        await db.Database.ExecuteSqlRawAsync(database is PostgresDatabase ? "drop trigger refuse on queue" : "drop trigger refuse");
        await Saves.SaveAsync(db, isAsync);
        Assert.Equal(["first", "second"], await shop.OrdersAsync());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_error_of_the_entities_is_told_although_that_of_the_messages_comes_after_it(bool isAsync)
    {
        var commands = new SaveCommands();
        await using var shop = await Saves.OpenAsync(database, commands);
        await using var db = shop.Open();
        await Saves.FirstAsync(db, commands);
        await Saves.RefuseMessagesAsync(database, db);
        db.Add(new ShopOrder { Name = "first" });
        db.Kv().Enqueue("m");

        var error = await Assert.ThrowsAsync<DbUpdateException>(() => Saves.SaveAsync(db, isAsync));
        Assert.Contains("unique", error.GetBaseException().Message, StringComparison.OrdinalIgnoreCase);
    }
}

public sealed class SqliteAppendedTests(SqliteDatabase database) : AppendedSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresAppendedTests(PostgresDatabase database) : AppendedSpec(database), IClassFixture<PostgresDatabase>;
