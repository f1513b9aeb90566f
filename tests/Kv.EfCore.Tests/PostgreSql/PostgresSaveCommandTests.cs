using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>Commands of <c>SaveChanges</c> that take messages along: other tables, preparing, poolers.</summary>
public sealed class PostgresSaveCommandTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_the_session_finds_other_tables_the_save_says_so_and_nothing_is_written(bool isAsync)
    {
        var commands = new SaveCommands();
        await using var shop = await Saves.OpenAsync(database, commands);
        await using var db = shop.Open();
        await Saves.FirstAsync(db, commands);
        await db.Database.ExecuteSqlRawAsync(
            "create schema app; create table app.queue (like public.queue including all); set search_path to app, public");
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => Saves.SaveAsync(db, isAsync));
        Assert.Contains("one commit spans one database", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, commands.Appended);
        Assert.Equal(["first"], await shop.OrdersAsync());
        Assert.Single(await shop.MessagesAsync());
        Assert.Equal(0, await db.Database.SqlQueryRaw<int>("select count(*)::int as \"Value\" from app.queue").SingleAsync());

        await db.Database.ExecuteSqlRawAsync("set search_path to public");
        await Saves.SaveAsync(db, isAsync);
        Assert.Equal(["first", "second"], await shop.OrdersAsync());
        Assert.Equal(2, (await shop.MessagesAsync()).Length);
    }

    [Fact]
    public async Task What_comes_again_and_again_is_prepared_and_survives_a_change_of_its_table()
    {
        var commands = new SaveCommands();
        await using var shop = await Saves.OpenAsync(database, commands);
        await using var db = shop.Open();
        await Saves.FirstAsync(db, commands);
        for (var i = 0; i < 10; i++)
        {
            await SaveAnotherAsync(i);
        }

        const string Prepared = "select count(*)::int as \"Value\" from pg_prepared_statements where statement like '%\"Orders\"%'";
        Assert.Equal(1, await db.Database.SqlQueryRaw<int>(Prepared).SingleAsync());
        await db.Database.ExecuteSqlRawAsync("alter table \"Orders\" alter column \"Id\" type bigint");

        // The server refuses the plan once; with it the driver forgets the statement.
        var error = await Assert.ThrowsAsync<DbUpdateException>(() => SaveAnotherAsync(10));
        Assert.Equal(PostgresErrorCodes.FeatureNotSupported, Assert.IsType<PostgresException>(error.InnerException).SqlState);
        await db.SaveChangesAsync();
        Assert.Equal(12, (await shop.MessagesAsync()).Length);
        Assert.Equal(12, (await shop.OrdersAsync()).Length);

        Task SaveAnotherAsync(int i)
        {
            db.Add(new ShopOrder { Name = $"{i}" });
            db.Kv().Enqueue("m");
            return db.SaveChangesAsync();
        }
    }

    [Fact]
    public async Task Behind_a_pooler_of_transactions_messages_go_by_themselves_and_nothing_is_prepared()
    {
        var commands = new SaveCommands();
        await using var shop = await Saves.OpenAsync(database, commands, store: static options => options.TransactionPooling = true);
        await using var db = shop.Open();
        for (var i = 0; i < 10; i++)
        {
            db.Add(new ShopOrder { Name = $"{i}" });
            db.Kv().Enqueue("m");
            await db.SaveChangesAsync();
        }

        Assert.Equal(0, commands.Appended);
        Assert.Equal(10, (await shop.MessagesAsync()).Length);
        Assert.Equal(0, await db.Database.SqlQueryRaw<int>("select count(*)::int as \"Value\" from pg_prepared_statements").SingleAsync());
    }
}
