using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Specs;

/// <summary>Messages that a command of <c>SaveChanges</c> takes along, where interceptors of the application's do what they may.</summary>
public abstract class AppendedInterceptionSpec(KvDatabase database)
{
    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public async Task What_interceptors_collect_after_the_command_has_run_is_in_the_same_commit(bool retries, bool isPlain)
    {
        var collect = new AtCommit(db => (isPlain ? db.Kv() : db.Kv().Set(["k"], 1)).Enqueue("late"));
        var commands = new SaveCommands();
        await using var shop = await Saves.OpenAsync(database, commands, retries, context: options => options.AddInterceptors(collect));
        await using var db = shop.Open();
        await Saves.FirstAsync(db, commands);
        collect.IsOn = true;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("early");

        await db.SaveChangesAsync();

        Assert.Equal(Saves.Appended(database, 1, retries), commands.Appended);
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
        await using var shop = await Saves.OpenAsync(database, commands, context: options => options.AddInterceptors(clear));
        await using var db = shop.Open();
        await Saves.FirstAsync(db, commands);
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
        await using var shop = await Saves.OpenAsync(database, commands, context: options => options.AddInterceptors(closes));
        await using var db = shop.Open();
        await Saves.FirstAsync(db, commands);
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
        await using var shop = await Saves.OpenAsync(database, commands, retries: true, context: options => options.AddInterceptors(fail));
        await using var db = shop.Open();
        await Saves.FirstAsync(db, commands);
        fail.IsOn = afterTheCommand;
        commands.FailsOnce = !afterTheCommand;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        await db.SaveChangesAsync();

        Assert.Equal(2 * Saves.Appended(database, 1, retries: true), commands.Appended);
        Assert.Equal(["first", "second"], await shop.OrdersAsync());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
        Assert.True(await db.Kv().WasCommittedAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task In_a_transaction_that_an_interceptor_begins_in_a_save_messages_wait_for_its_commit(bool savepoints)
    {
        var commands = new SaveCommands();
        var begins = new BeginsTransaction();
        await using var shop = await Saves.OpenAsync(database, commands, after: options => options.AddInterceptors(begins));
        await using var db = shop.Open();
        await Saves.FirstAsync(db, commands);
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
        await using var shop = await Saves.OpenAsync(database, commands, context: options => options.AddInterceptors(fails));
        await using var db = shop.Open();
        await Saves.FirstAsync(db, commands);
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
        await using var shop = await Saves.OpenAsync(database, commands, context: options => options.AddInterceptors(collect));
        await using var db = shop.Open();
        await Saves.FirstAsync(db, commands);
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
        await using var shop = await Saves.OpenAsync(
            database, commands, retries: true, context: options => options.AddInterceptors(collect));
        await using var db = shop.Open();
        await Saves.FirstAsync(db, commands);
        collect.IsOn = true;
        db.AddRange(new ShopOrder { Name = "second" }, new ShopOrder { Name = "third" });
        db.Kv().Enqueue("m");

        await db.SaveChangesAsync();

        Assert.Equal(["first", "second", "third"], await shop.OrdersAsync());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
        Assert.Single(db.Kv().LastCommit!.MessageIds);
        Assert.Single(shop.LoggedAs(210));
    }
}

public sealed class SqliteAppendedInterceptionTests(SqliteDatabase database)
    : AppendedInterceptionSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresAppendedInterceptionTests(PostgresDatabase database)
    : AppendedInterceptionSpec(database), IClassFixture<PostgresDatabase>;
