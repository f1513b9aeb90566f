using Kv.Store;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>Wherever a save without a transaction fails, its row and its messages are both stored or neither, and it is known.</summary>
public sealed class PostgresLoneFailureTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    [Fact]
    public async Task What_fails_when_the_command_commits_takes_both_back()
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using var db = await log.FirstAsync(shop);
        await Saves.AddAsync(db, "second");
        await db.Database.ExecuteSqlRawAsync(
            "create function f() returns trigger language plpgsql as 'begin raise exception ''not at the end''; end'; "
            + "create constraint trigger f after insert on \"Orders\" deferrable initially deferred for each row execute function f()");
        var order = db.Add(new ShopOrder { Name = "third" });
        db.Kv().Enqueue("m");

        var error = await Assert.ThrowsAnyAsync<Exception>(() => db.SaveChangesAsync());
        Assert.Contains("not at the end", error.GetBaseException().Message, StringComparison.Ordinal);
        Assert.Equal(0, log.Transactions);
        Assert.Equal(EntityState.Added, order.State);
        Assert.False(await db.Kv().WasCommittedAsync());
        Assert.Equal(1, db.Kv().PendingCount);
        Assert.Equal(2, (await shop.MessagesAsync()).Length);

        await db.Database.ExecuteSqlRawAsync("drop trigger f on \"Orders\"");
        await db.SaveChangesAsync();
        Assert.Equal(3, (await shop.OrdersAsync()).Length);
        Assert.Equal(3, (await shop.MessagesAsync()).Length);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_commit_that_takes_too_long_leaves_the_message_for_the_next_save(bool cancels)
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using var db = await log.FirstAsync(shop);
        await Saves.AddAsync(db, "second");
        await db.Database.ExecuteSqlRawAsync(
            "create function f() returns trigger language plpgsql as 'begin perform pg_sleep(60); return null; end'; "
            + "create constraint trigger f after insert on \"Orders\" deferrable initially deferred for each row execute function f()");
        using var source = new CancellationTokenSource();
        db.Database.SetCommandTimeout(cancels ? 60 : 1);
        db.Add(new ShopOrder { Name = "third" });
        db.Kv().Enqueue("m");
        var save = db.SaveChangesAsync(source.Token);
        if (cancels)
        {
            await using var other = new NpgsqlConnection(shop.Test.ConnectionString);
            await other.OpenAsync();
            await using var command = new NpgsqlCommand(
                "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()", other);
            while (await command.ExecuteScalarAsync() is 0L)
            {
                Assert.False(save.IsCompleted);
            }

            await source.CancelAsync();
        }

        await Assert.ThrowsAnyAsync<Exception>(() => save);
        Assert.Equal(1, db.Kv().PendingCount);
        Assert.Equal(2, (await shop.MessagesAsync()).Length);
        if (cancels)
        {
            // A token may also be seen too late, and EF Core does not say.
            await Assert.ThrowsAsync<InvalidOperationException>(() => db.Kv().WasCommittedAsync());
        }
        else
        {
            Assert.False(await db.Kv().WasCommittedAsync());
        }

        await db.Database.ExecuteSqlRawAsync("drop trigger f on \"Orders\"");
        await db.SaveChangesAsync();
        Assert.Equal(3, (await shop.OrdersAsync()).Length);
        Assert.Equal(3, (await shop.MessagesAsync()).Length);
    }

    [Theory]
    [InlineData(true, 1)]
    [InlineData(true, 10)]
    [InlineData(false, 1)]
    [InlineData(false, 10)]
    public async Task A_save_that_waits_in_vain_is_known_not_to_be_committed(bool cancels, int before)
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using var db = await log.FirstAsync(shop);
        await Saves.AddManyAsync(db, before);

        await using var other = new NpgsqlConnection(shop.Test.ConnectionString);
        await other.OpenAsync();
        await using var transaction = await other.BeginTransactionAsync();
        await using var command = new NpgsqlCommand("lock table \"Orders\" in share mode", other, transaction);
        await command.ExecuteNonQueryAsync();
        using var source = new CancellationTokenSource();
        db.Database.SetCommandTimeout(cancels ? 60 : 1);
        db.Add(new ShopOrder { Name = "last" });
        db.Kv().Enqueue("m");
        var save = db.SaveChangesAsync(source.Token);
        if (cancels)
        {
            command.CommandText = "select count(*) " + Saves.Waiting;
            while (await command.ExecuteScalarAsync() is 0L)
            {
                Assert.False(save.IsCompleted);
            }

            await source.CancelAsync();
        }

        await Assert.ThrowsAnyAsync<Exception>(() => save);
        await transaction.RollbackAsync();
        Assert.False(await db.Kv().WasCommittedAsync());
        Assert.Equal(1, db.Kv().PendingCount);

        await db.SaveChangesAsync();
        Assert.Equal(0, log.Transactions);
        Assert.Equal(before + 2, (await shop.OrdersAsync()).Length);
        Assert.Equal(before + 2, (await shop.MessagesAsync()).Length);
    }

    [Fact]
    public async Task A_session_that_ends_in_the_middle_leaves_neither_and_the_next_save_stores_both()
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using var db = await log.FirstAsync(shop);
        await Saves.AddAsync(db, "second");
        await db.Database.CloseConnectionAsync();
        await using var other = new NpgsqlConnection(shop.Test.ConnectionString);
        await other.OpenAsync();
        await using var transaction = await other.BeginTransactionAsync();
        await using var command = new NpgsqlCommand("lock table queue in share mode", other, transaction);
        await command.ExecuteNonQueryAsync();
        db.Add(new ShopOrder { Name = "third" });
        db.Kv().Enqueue("m");
        var save = db.SaveChangesAsync();
        command.CommandText = "select pg_terminate_backend(pid) " + Saves.Waiting;
        while (await command.ExecuteScalarAsync() is not true)
        {
            Assert.False(save.IsCompleted);
        }

        await transaction.RollbackAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => save);
        Assert.Equal(2, (await shop.OrdersAsync()).Length);
        Assert.Equal(1, db.Kv().PendingCount);

        await db.SaveChangesAsync();
        Assert.Equal(3, (await shop.OrdersAsync()).Length);
        Assert.Equal(3, (await shop.MessagesAsync()).Length);
    }

    [Fact]
    public async Task A_save_that_has_become_an_update_is_refused_before_anything_is_written()
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using var db = await log.FirstAsync(shop);
        var first = db.ChangeTracker.Entries<ShopOrder>().Single();
        var second = db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");
        var looks = 0;
        db.ChangeTracker.DetectedAllChanges += Turn;

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => db.SaveChangesAsync());
        Assert.Contains("has become something else. Nothing of it was written.", error.Message, StringComparison.Ordinal);
        Assert.Equal(["first"], await shop.OrdersAsync());
        Assert.Single(await shop.MessagesAsync());

        db.Database.AutoTransactionBehavior = AutoTransactionBehavior.Always;
        await db.SaveChangesAsync();
        Assert.Equal(["changed"], await shop.OrdersAsync());
        Assert.Equal(2, (await shop.MessagesAsync()).Length);

        void Turn(object? sender, EventArgs e)
        {
            if (++looks < 2)
            {
                // The store's, before the save's own.
                return;
            }

            first.Entity.Name = "changed";
            first.State = EntityState.Modified;
            second.State = EntityState.Detached;
        }
    }

    [Fact]
    public async Task Why_a_save_was_refused_is_not_told_of_the_next_one()
    {
        var log = new SaveLog();
        var fails = new FailsOnce();
        await using var shop = await log.OpenAsync(database, options => options.AddInterceptors(fails));
        await using var db = await log.FirstAsync(shop);
        await Saves.AddAsync(db, "second");
        await Saves.RefuseMessagesAsync(database, db);
        var third = db.Add(new ShopOrder { Name = "third" });
        db.Kv().Enqueue("m");
        fails.IsOn = true;
        await Assert.ThrowsAsync<TransientException>(() => db.SaveChangesAsync());

        third.Entity.Name = "first";
        db.Kv().Clear();
        var error = await Assert.ThrowsAsync<DbUpdateException>(() => db.SaveChangesAsync());
        Assert.Contains("unique", error.GetBaseException().Message, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("since the last look", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_save_whose_entity_is_another_one_is_refused_before_anything_is_written()
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using var db = await log.FirstAsync(shop);
        var second = db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");
        var looks = 0;
        db.ChangeTracker.DetectedAllChanges += Replace;

        await Assert.ThrowsAsync<InvalidOperationException>(() => db.SaveChangesAsync());
        Assert.Equal(1, db.Kv().PendingCount);
        Assert.Equal(["first"], await shop.OrdersAsync());
        Assert.Single(await shop.MessagesAsync());

        void Replace(object? sender, EventArgs e)
        {
            if (++looks == 2)
            {
                second.State = EntityState.Detached;
                db.Add(new ShopOrder { Name = "another" });
            }
        }
    }

    /// <remarks>
    /// The driver sends the reset of a pooled connection ahead of the first command. An error of the reset is the command's, the connection
    /// is closed, and the server runs the command.
    /// </remarks>
    [Fact]
    public async Task An_error_of_the_server_proves_nothing_when_the_connection_is_gone()
    {
        await using var shop = await new SaveLog().OpenAsync(database);
        var writes = new ContextWrites(shop.Services.GetRequiredService<KvStore>());
        await using var db = shop.Open();
        var error = new PostgresException("canceling statement", "ERROR", "ERROR", PostgresErrorCodes.QueryCanceled);

        Assert.False(writes.ProvesRollback(db, [new DbUpdateException("", error), error]));
        await db.Database.OpenConnectionAsync();
        Assert.True(writes.ProvesRollback(db, [new DbUpdateException("", error), error]));
    }

    /// <summary>An interceptor of an application's that fails when a save has failed, so that later ones do not hear of it.</summary>
    private sealed class FailsOnce : SaveChangesInterceptor
    {
        public bool IsOn { get; set; }

        public override Task SaveChangesFailedAsync(DbContextErrorEventData eventData, CancellationToken cancellationToken = default)
        {
            var isOn = IsOn;
            IsOn = false;
            return isOn ? throw new TransientException() : Task.CompletedTask;
        }
    }
}
