using System.Data.Common;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.Tests.Specs;

/// <summary>Messages that a command of <c>SaveChanges</c> takes along.</summary>
public abstract class AppendedSpec(KvDatabase database)
{
    public static MatrixTheoryData<string, int, bool, bool, int> Saves { get; } =
        new(["add", "add many", "update", "remove", "all"], [1, 3], [true, false], [true, false], [1, 1000]);

    [Theory]
    [MemberData(nameof(Saves))]
    public async Task Whatever_a_save_does_its_messages_go_with_it_once(string change, int messages, bool isAsync, bool retries, int batch)
    {
        var commands = new SaveCommands();
        await using var shop = await OpenAsync(commands, retries, batch);
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
            await SaveAsync(db, isAsync);

            if (i > 0)
            {
                Assert.Equal(Appended(messages, retries), commands.Appended - rode);
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
        await using var shop = await OpenAsync(commands);
        await using var db = shop.Open();
        await SaveFirstAsync(db, commands);
        var twice = db.Add(new ShopOrder { Name = "first" }).Entity;
        db.Add(new ShopOrder { Name = "second" });
        for (var n = 0; n < messages; n++)
        {
            db.Kv().Enqueue("m");
        }

        var error = await Assert.ThrowsAsync<DbUpdateException>(() => SaveAsync(db, isAsync));
        var cause = Assert.IsType<DbException>(error.InnerException, exactMatch: false);
        Assert.Contains("unique", cause.Message, StringComparison.OrdinalIgnoreCase);
        Assert.Equal(Appended(messages, retries: false), commands.Appended);
        Assert.Equal(messages, db.Kv().PendingCount);
        Assert.Single(await shop.MessagesAsync());

        twice.Name = "third";
        await SaveAsync(db, isAsync);
        Assert.Equal(2 * Appended(messages, retries: false), commands.Appended);
        Assert.Equal(["first", "second", "third"], (await shop.OrdersAsync()).Order());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_an_entity_was_changed_by_others_its_messages_are_not_sent(bool isAsync)
    {
        var commands = new SaveCommands();
        await using var shop = await OpenAsync(commands);
        await using var db = shop.Open();
        var first = await SaveFirstAsync(db, commands);
        await using (var other = shop.Open())
        {
            await other.Orders.ExecuteDeleteAsync();
        }

        first.Name = "changed";
        db.Kv().Enqueue("m");
        await Assert.ThrowsAsync<DbUpdateConcurrencyException>(() => SaveAsync(db, isAsync));

        Assert.Equal(1, commands.Appended);
        Assert.Equal(1, db.Kv().PendingCount);
        Assert.Single(await shop.MessagesAsync());
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public async Task What_interceptors_collect_after_the_command_has_run_is_in_the_same_commit(bool retries, bool isPlain)
    {
        var collect = new AtCommit(db => (isPlain ? db.Kv() : db.Kv().Set(["k"], 1)).Enqueue("late"));
        var commands = new SaveCommands();
        await using var shop = await OpenAsync(commands, retries, context: options => options.AddInterceptors(collect));
        await using var db = shop.Open();
        await SaveFirstAsync(db, commands);
        collect.IsOn = true;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("early");

        await db.SaveChangesAsync();

        Assert.Equal(Appended(1, retries), commands.Appended);
        var commit = db.Kv().LastCommit!;
        Assert.Equal(2, commit.MessageIds.Count);
        Assert.Equal(0, db.Kv().PendingCount);
        Assert.Equal(isPlain ? null : (await shop.Store.GetAsync(["k"]))!.Versionstamp, commit.Versionstamp);
        Assert.Equal(commit.MessageIds, (await shop.MessagesAsync()).Skip(1));
    }

    [Fact]
    public async Task What_is_cleared_while_the_save_writes_it_is_not_committed()
    {
        var commands = new SaveCommands();
        var clear = new AtCommit(static db => db.Kv().Clear());
        await using var shop = await OpenAsync(commands, context: options => options.AddInterceptors(clear));
        await using var db = shop.Open();
        await SaveFirstAsync(db, commands);
        clear.IsOn = true;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => db.SaveChangesAsync());

        Assert.Contains("was cleared while SaveChanges of ShopContext", error.Message, StringComparison.Ordinal);
        Assert.Equal(["first"], await shop.OrdersAsync());
        Assert.Single(await shop.MessagesAsync());
        clear.IsOn = false;
        await db.SaveChangesAsync();
        Assert.Equal(["first", "second"], await shop.OrdersAsync());
        Assert.Single(await shop.MessagesAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task An_interceptor_that_runs_the_command_itself_changes_nothing_and_one_that_hides_its_end_is_refused(bool tellsEnd)
    {
        var commands = new SaveCommands { RunsItself = true };
        var closes = new ClosesReaders();
        await using var shop = await OpenAsync(commands, context: options => options.AddInterceptors(closes));
        await using var db = shop.Open();
        await SaveFirstAsync(db, commands);
        closes.IsOn = !tellsEnd;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        if (tellsEnd)
        {
            await db.SaveChangesAsync();
            Assert.Equal(2, (await shop.MessagesAsync()).Length);
            return;
        }

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => db.SaveChangesAsync());
        Assert.Contains("an interceptor has kept", error.Message, StringComparison.Ordinal);
        Assert.Single(await shop.OrdersAsync());
        Assert.Single(await shop.MessagesAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_save_that_a_strategy_runs_again_sends_its_messages_once(bool afterTheCommand)
    {
        var fail = new AtCommit(static _ => throw new TransientException());
        var commands = new SaveCommands();
        await using var shop = await OpenAsync(commands, retries: true, context: options => options.AddInterceptors(fail));
        await using var db = shop.Open();
        await SaveFirstAsync(db, commands);
        fail.IsOn = afterTheCommand;
        commands.FailsOnce = !afterTheCommand;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        await db.SaveChangesAsync();

        Assert.Equal(2 * Appended(1, retries: true), commands.Appended);
        Assert.Equal(["first", "second"], await shop.OrdersAsync());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
        Assert.True(await db.Kv().WasCommittedAsync());
    }

    [Fact]
    public async Task A_mark_tells_of_the_commit_whose_message_a_command_took_along()
    {
        var commands = new SaveCommands();
        await using var shop = await OpenAsync(commands, retries: true);
        await using var db = shop.Open();
        await SaveFirstAsync(db, commands);
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
    public async Task In_a_transaction_that_an_interceptor_begins_in_a_save_messages_wait_for_its_commit(bool savepoints)
    {
        var commands = new SaveCommands();
        var begins = new BeginsTransaction();
        await using var shop = await OpenAsync(commands, after: options => options.AddInterceptors(begins));
        await using var db = shop.Open();
        await SaveFirstAsync(db, commands);
        db.Database.AutoSavepointsEnabled = savepoints;
        begins.IsOn = true;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");
        await db.SaveChangesAsync();
        Assert.Equal(0, commands.Appended);
        Assert.Equal(1, db.Kv().PendingCount);

        if (savepoints)
        {
            var twice = db.Add(new ShopOrder { Name = "first" });
            await Assert.ThrowsAsync<DbUpdateException>(() => db.SaveChangesAsync());
            twice.State = EntityState.Detached;
        }

        await db.Database.CommitTransactionAsync();
        Assert.Equal(["first", "second"], await shop.OrdersAsync());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
    }

    [Fact]
    public async Task A_save_that_fails_within_another_one_leaves_what_that_has_taken_along()
    {
        var commands = new SaveCommands();
        var fails = new AtCommit(static db =>
        {
            var twice = db.Add(new ShopOrder { Name = "first" });
            Assert.Throws<DbUpdateException>(() => db.SaveChanges());
            twice.State = EntityState.Detached;
        });
        await using var shop = await OpenAsync(commands, context: options => options.AddInterceptors(fails));
        await using var db = shop.Open();
        await SaveFirstAsync(db, commands);
        fails.IsOn = true;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        await db.SaveChangesAsync();

        Assert.Equal(1, commands.Appended);
        Assert.Equal(["first", "second"], await shop.OrdersAsync());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
    }

    [Fact]
    public async Task What_interceptors_collect_when_a_save_has_begun_its_transaction_goes_with_its_command()
    {
        var commands = new SaveCommands();
        var collect = new AtStart(static db => db.Kv().Enqueue("m"));
        await using var shop = await OpenAsync(commands, context: options => options.AddInterceptors(collect));
        await using var db = shop.Open();
        await SaveFirstAsync(db, commands);
        collect.IsOn = true;
        for (var i = 0; i < 3; i++)
        {
            db.AddRange(new ShopOrder { Name = $"{i}.0" }, new ShopOrder { Name = $"{i}.1" });
            await db.SaveChangesAsync();
        }

        Assert.Equal(3, commands.Appended);
        Assert.Equal(4, (await shop.MessagesAsync()).Length);
    }

    [Fact]
    public async Task What_was_collected_in_a_transaction_that_failed_does_not_go_with_the_next_try()
    {
        var commands = new SaveCommands();
        var collect = new AtCommit(static db =>
        {
            db.Kv().Enqueue("lost");
            throw new TransientException();
        });
        await using var shop = await OpenAsync(commands, retries: true, context: options => options.AddInterceptors(collect));
        await using var db = shop.Open();
        await SaveFirstAsync(db, commands);
        collect.IsOn = true;
        db.AddRange(new ShopOrder { Name = "second" }, new ShopOrder { Name = "third" });
        db.Kv().Enqueue("m");

        await db.SaveChangesAsync();

        Assert.Equal(["first", "second", "third"], await shop.OrdersAsync());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
        Assert.Single(db.Kv().LastCommit!.MessageIds);
        Assert.Single(shop.LoggedAs(210));
    }

    /// <summary>How many commands of a save take messages along.</summary>
    /// <param name="messages">How many messages there are.</param>
    /// <param name="retries">Whether a strategy may run the save again.</param>
    protected abstract int Appended(int messages, bool retries);

    private protected static async Task<ShopOrder> SaveFirstAsync(ShopContext db, SaveCommands commands)
    {
        // The pool gives another session otherwise, now and then.
        await db.Database.OpenConnectionAsync();
        var order = db.Add(new ShopOrder { Name = "first" }).Entity;
        db.Kv().Enqueue("m");
        await db.SaveChangesAsync();
        commands.Appended = 0;
        return order;
    }

    protected static Task SaveAsync(ShopContext db, bool isAsync) => isAsync ? db.SaveChangesAsync() : Task.Run(() => db.SaveChanges());

    private protected Task<Shop> OpenAsync(
        SaveCommands commands,
        bool retries = false,
        int batch = 1000,
        Action<DbContextOptionsBuilder>? context = null,
        Action<DbContextOptionsBuilder>? after = null,
        Action<KvStoreOptions>? store = null) => Shop.OpenAsync(
            database,
            options =>
            {
                // EF Core would warn of what it did not ask for.
                options.ConfigureWarnings(static w => w.Throw(RelationalEventId.UnexpectedTrailingResultSetWhenSaving));
                LimitBatches(options, batch);
                if (retries)
                {
                    Shop.Retry(options);
                }

                context?.Invoke(options);
            },
            options =>
            {
                options.AddInterceptors(commands);
                after?.Invoke(options);
            },
            store: store);

    /// <summary>Says how many changes a command of a save has at the most.</summary>
    protected virtual void LimitBatches(DbContextOptionsBuilder options, int size)
    {
    }
}

public sealed class SqliteAppendedTests(SqliteDatabase database) : AppendedSpec(database), IClassFixture<SqliteDatabase>
{
    protected override int Appended(int messages, bool retries) => messages == 1 && !retries ? 1 : 0;
}
