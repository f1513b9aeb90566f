using System.Data;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.ChangeTracking;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.Tests.Specs;

/// <summary>Saves of one new entity and messages, where interceptors and handlers of the application's do what they may.</summary>
public abstract class LoneSaveHandlerSpec(KvDatabase database)
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task What_an_interceptor_collects_before_the_stores_part_is_in_the_same_commit(bool isPlain)
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(
            database, options => options.AddInterceptors(new AtSave(db => (isPlain ? db.Kv() : db.Kv().Set(["k"], 1)).Enqueue("m"))));
        await using var db = await log.FirstAsync(shop);
        db.Add(new ShopOrder { Name = "second" });

        await db.SaveChangesAsync();

        if (isPlain)
        {
            log.AssertAlone(database);
        }
        else
        {
            Assert.Equal(1, log.Transactions);
        }

        Assert.Equal(isPlain ? null : (await shop.Store.GetAsync(["k"]))!.Versionstamp, db.Kv().LastCommit!.Versionstamp);
        Assert.Equal(3, (await shop.MessagesAsync()).Length);
    }

    [Fact]
    public async Task What_is_collected_while_changes_are_looked_for_is_in_the_same_commit()
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using var db = await log.FirstAsync(shop);
        db.ChangeTracker.DetectedAllChanges += Collect;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        await db.SaveChangesAsync();

        Assert.Equal(1, log.Transactions);
        Assert.Equal(2, (await shop.MessagesAsync()).Length);
        Assert.Equal(db.Kv().LastCommit!.Versionstamp, (await shop.Store.GetAsync(["k"]))!.Versionstamp);

        void Collect(object? sender, DetectedChangesEventArgs e)
        {
            db.ChangeTracker.DetectedAllChanges -= Collect;
            db.Kv().Set(["k"], 1);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task What_an_interceptor_saves_when_a_save_has_ended_does_not_send_its_message_again(int more)
    {
        var log = new SaveLog();
        var saves = new AfterSave(async (db, token) =>
        {
            db.AddRange(Enumerable.Range(0, more).Select(static n => new ShopOrder { Name = $"more {n}" }));
            await db.SaveChangesAsync(token);
        });
        await using var shop = await log.OpenAsync(database, options => options.AddInterceptors(saves));
        await using var db = await log.FirstAsync(shop);
        saves.IsOn = true;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        await db.SaveChangesAsync();
        await db.SaveChangesAsync();

        Assert.Equal(2 + more, (await shop.OrdersAsync()).Length);
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
        Assert.Equal(0, db.Kv().PendingCount);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Where_an_interceptor_fails_when_the_save_has_ended_its_message_is_known_to_be_sent(bool cancels)
    {
        var log = new SaveLog();
        using var source = new CancellationTokenSource();
        var fails = new AfterSave((_, token) =>
        {
            if (cancels)
            {
                source.Cancel();
                token.ThrowIfCancellationRequested();
            }

            throw new TransientException();
        });
        await using var shop = await log.OpenAsync(database, options => options.AddInterceptors(fails));
        await using var db = await log.FirstAsync(shop);
        fails.IsOn = true;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        await Assert.ThrowsAnyAsync<Exception>(() => db.SaveChangesAsync(source.Token));

        Assert.True(await db.Kv().WasCommittedAsync());
        Assert.Equal(0, db.Kv().PendingCount);
        db.Add(new ShopOrder { Name = "third" });
        await db.SaveChangesAsync();
        Assert.Equal(["first", "second", "third"], await shop.OrdersAsync());
        Assert.Equal(2, (await shop.MessagesAsync()).Length);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_a_handler_fails_when_entities_are_taken_for_saved_the_message_is_known_to_be_sent(bool cancels)
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using var db = await log.FirstAsync(shop);
        db.ChangeTracker.StateChanged += Fail;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        await Assert.ThrowsAnyAsync<Exception>(() => db.SaveChangesAsync());

        Assert.True(await db.Kv().WasCommittedAsync());
        Assert.Equal(0, db.Kv().PendingCount);
        await db.SaveChangesAsync();
        Assert.Equal(["first", "second"], await shop.OrdersAsync());
        Assert.Equal(2, (await shop.MessagesAsync()).Length);

        void Fail(object? sender, EntityStateChangedEventArgs e)
        {
            db.ChangeTracker.StateChanged -= Fail;
            throw cancels ? new OperationCanceledException() : new TransientException();
        }
    }

    [Fact]
    public async Task Where_an_interceptor_fails_when_a_save_has_failed_the_connection_is_closed_and_what_was_collected_stays()
    {
        var log = new SaveLog();
        var fails = new FailsToo();
        await using var shop = await log.OpenAsync(database, options => options.AddInterceptors(fails));
        await using (var first = await log.FirstAsync(shop))
        {
        }

        await using var db = shop.Open();
        var order = db.Add(new ShopOrder { Name = "first" }).Entity;
        db.Kv().Enqueue("m");

        await Assert.ThrowsAsync<TransientException>(() => db.SaveChangesAsync());

        Assert.Equal(ConnectionState.Closed, db.Database.GetDbConnection().State);
        Assert.Equal(AutoTransactionBehavior.WhenNeeded, db.Database.AutoTransactionBehavior);
        Assert.False(await db.Kv().WasCommittedAsync());
        order.Name = "second";
        await db.SaveChangesAsync();
        Assert.Equal(["first", "second"], await shop.OrdersAsync());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
    }

    [Fact]
    public async Task A_save_that_does_not_begin_is_not_the_one_before()
    {
        var log = new SaveLog();
        await using var shop = await log.OpenAsync(database);
        await using var db = await log.FirstAsync(shop);
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");
        await db.SaveChangesAsync();
        Assert.True(await db.Kv().WasCommittedAsync());
        db.Add(new ShopOrder { Name = "third" });
        db.Kv().Enqueue("m");

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => db.SaveChangesAsync(new CancellationToken(canceled: true)));

        Assert.False(await db.Kv().WasCommittedAsync());
        await db.SaveChangesAsync();
        Assert.Equal(3, (await shop.OrdersAsync()).Length);
        Assert.Equal(3, (await shop.MessagesAsync()).Length);
    }

    /// <summary>Fails when a save has failed, before the store's part.</summary>
    private sealed class FailsToo : SaveChangesInterceptor
    {
        public override Task SaveChangesFailedAsync(DbContextErrorEventData eventData, CancellationToken cancellationToken = default) =>
            throw new TransientException();
    }

    /// <summary>Does something of an application's when a save has ended, before the store's part.</summary>
    private sealed class AfterSave(Func<ShopContext, CancellationToken, Task> act) : SaveChangesInterceptor
    {
        public bool IsOn { get; set; }

        public override async ValueTask<int> SavedChangesAsync(
            SaveChangesCompletedEventData eventData, int result, CancellationToken cancellationToken = default)
        {
            if (IsOn)
            {
                IsOn = false;
                await act((ShopContext)eventData.Context!, cancellationToken);
            }

            return result;
        }
    }

    /// <summary>Does something of an application's when a save begins, before the store's part.</summary>
    private sealed class AtSave(Action<ShopContext> act) : SaveChangesInterceptor
    {
        public override ValueTask<InterceptionResult<int>> SavingChangesAsync(
            DbContextEventData eventData, InterceptionResult<int> result, CancellationToken cancellationToken = default)
        {
            act((ShopContext)eventData.Context!);
            return new(result);
        }
    }
}

public sealed class SqliteLoneSaveHandlerTests(SqliteDatabase database) : LoneSaveHandlerSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresLoneSaveHandlerTests(PostgresDatabase database)
    : LoneSaveHandlerSpec(database), IClassFixture<PostgresDatabase>;
