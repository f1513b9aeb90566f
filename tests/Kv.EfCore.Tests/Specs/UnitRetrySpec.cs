using System.Data.Common;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.Tests.Specs;

/// <summary>Execution strategies that try again, and commits whose answers are lost.</summary>
public abstract class UnitRetrySpec(KvDatabase database)
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_save_that_is_tried_again_commits_what_is_collected_once(bool isAsync)
    {
        var faults = new Faults { BeforeCommit = 2 };
        await using var shop = await OpenAsync(faults);
        await using var db = shop.Open();
        db.Orders.Add(new ShopOrder { Name = "first" });
        db.Kv().Enqueue("m").Sum(["n"], 1);

        if (isAsync)
        {
            await db.SaveChangesAsync();
        }
        else
        {
            await Task.Run(() => db.SaveChanges());
        }

        Assert.Equal(0, faults.BeforeCommit);
        Assert.Equal(["first"], await shop.OrdersAsync());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, await shop.MessagesAsync());
        Assert.Equal(1UL, await shop.Store.GetAsync<ulong>(["n"]));
    }

    [Fact]
    public async Task A_delegate_that_is_run_again_sends_what_it_collects_once()
    {
        var faults = new Faults { BeforeCommit = 1 };
        await using var shop = await OpenAsync(faults);
        await using var db = shop.Open();

        await db.Database.CreateExecutionStrategy().ExecuteAsync(async () =>
        {
            await using var transaction = await db.Database.BeginTransactionAsync();
            db.Kv().Enqueue("m").Sum(["n"], 1);
            await transaction.CommitAsync();
        });

        Assert.Single(await shop.MessagesAsync());
        Assert.Equal(1UL, await shop.Store.GetAsync<ulong>(["n"]));
        Assert.Single(shop.LoggedAs(210));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_commit_whose_answer_was_lost_is_found_and_not_run_again(bool takesVersion)
    {
        var faults = new Faults { AfterCommit = 1 };
        await using var shop = await OpenAsync(faults);
        await using var db = shop.Open();
        var runs = 0;

        await db.Database.CreateExecutionStrategy().ExecuteInTransactionAsync(
            async () =>
            {
                runs++;
                db.Orders.Add(new ShopOrder { Name = $"run {runs}" });
                db.Kv().Enqueue("m", new() { GroupKey = takesVersion ? "g" : null });
                await db.SaveChangesAsync(acceptAllChangesOnSuccess: false);
            },
            () => db.Kv().WasCommittedAsync());

        Assert.Equal(1, runs);
        Assert.Equal(0, faults.AfterCommit);
        Assert.Equal(["run 1"], await shop.OrdersAsync());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, await shop.MessagesAsync());
        Assert.Equal(takesVersion, db.Kv().LastCommit!.Versionstamp is not null);
        Assert.Equal(0, db.Kv().PendingCount);
    }

    [Fact]
    public async Task A_commit_that_failed_is_found_not_to_have_happened_and_is_run_again()
    {
        var faults = new Faults { BeforeCommit = 1 };
        await using var shop = await OpenAsync(faults);
        await using var db = shop.Open();
        var runs = 0;

        await db.Database.CreateExecutionStrategy().ExecuteInTransactionAsync(
            async () =>
            {
                db.ChangeTracker.Clear();
                runs++;
                db.Orders.Add(new ShopOrder { Name = $"run {runs}" });
                db.Kv().Enqueue("m");
                await db.SaveChangesAsync(acceptAllChangesOnSuccess: false);
            },
            () => db.Kv().WasCommittedAsync());

        Assert.Equal(2, runs);
        Assert.Equal(["run 2"], await shop.OrdersAsync());
        Assert.Single(await shop.MessagesAsync());
    }

    [Fact]
    public async Task A_transaction_that_brings_nothing_of_the_store_is_found_too_once_the_context_was_asked_for_its_unit()
    {
        var faults = new Faults { AfterCommit = 1 };
        await using var shop = await OpenAsync(faults);
        await using var db = shop.Open();
        var kv = db.Kv();
        var runs = 0;

        await db.Database.CreateExecutionStrategy().ExecuteInTransactionAsync(
            async () =>
            {
                runs++;
                db.Orders.Add(new ShopOrder { Name = $"run {runs}" });
                await db.SaveChangesAsync(acceptAllChangesOnSuccess: false);
            },
            () => kv.WasCommittedAsync());

        Assert.Equal(1, runs);
        Assert.Equal(["run 1"], await shop.OrdersAsync());
        Assert.Null(kv.LastCommit);
    }

    [Fact]
    public async Task A_commit_that_is_found_not_to_have_happened_can_never_happen_later()
    {
        await using var shop = await OpenAsync(new Faults());
        await using var db = shop.Open();
        db.Orders.Add(new ShopOrder { Name = "late" });
        db.Kv().Enqueue("m");
        var marks = shop.Test.Engine.JoinedMarks;
        var taken = marks.Take();
        var mark = taken.Current with { Sequence = taken.Current.Sequence + 1 };
        marks.Return(taken);

        // Barred before the transaction is sent at all.
        Assert.Null(await shop.Test.Engine.Runner.ResolveAsync(mark, default));
        await Assert.ThrowsAnyAsync<DbException>(() => db.SaveChangesAsync());

        Assert.Empty(await shop.OrdersAsync());
        Assert.Empty(await shop.MessagesAsync());
    }

    [Fact]
    public async Task Where_nothing_came_as_far_as_a_commit_nothing_was_committed()
    {
        await using var shop = await OpenAsync(new Faults());
        await using var db = shop.Open();
        db.Kv().Enqueue("m");
        await using var transaction = await db.Database.BeginTransactionAsync();

        Assert.False(await db.Kv().WasCommittedAsync());
    }

    [Fact]
    public async Task A_transaction_without_a_mark_says_that_it_cannot_be_asked_for()
    {
        var faults = new Faults { AfterCommit = 1 };
        await using var shop = await Shop.OpenAsync(database, context: options => options.AddInterceptors(faults.After));
        await using var unmarked = shop.Open();
        unmarked.Orders.Add(new ShopOrder { Name = "first" });
        unmarked.Kv().Enqueue("m");
        await Assert.ThrowsAsync<TransientException>(() => unmarked.SaveChangesAsync());

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => unmarked.Kv().WasCommittedAsync());

        Assert.Contains("left no mark", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Marks_are_used_again_so_that_there_are_no_more_than_transactions_at_once()
    {
        await using var shop = await OpenAsync(new Faults());
        for (var i = 0; i < 5; i++)
        {
            await using var db = shop.Open();
            db.Orders.Add(new ShopOrder { Name = $"{i}" });
            db.Kv().Enqueue("m");
            await db.SaveChangesAsync();
        }

        await using var context = shop.Test.CreateContext();
        Assert.Equal(5, await context.Versions.Where(static v => v.Key != 0).Select(static v => v.Sequence).SingleAsync());
    }

    // Before the store's own interceptor, so that this one does not hear of a commit whose answer is lost.
    private Task<Shop> OpenAsync(Faults faults) => Shop.OpenAsync(
        database,
        context: options =>
        {
            Shop.Retry(options);
            options.AddInterceptors(faults.After);
        },
        after: options => options.AddInterceptors(faults));

    /// <summary>Fails commits before they are sent, after the store's interceptor has had its turn, and loses answers.</summary>
    private sealed class Faults : DbTransactionInterceptor
    {
        public Faults() => After = new Lost(this);

        public int BeforeCommit { get; set; }

        public int AfterCommit { get; set; }

        public IInterceptor After { get; }

        public override InterceptionResult TransactionCommitting(
            DbTransaction transaction, TransactionEventData eventData, InterceptionResult result) =>
            BeforeCommit > 0 && BeforeCommit-- > 0 ? throw new TransientException() : result;

        public override ValueTask<InterceptionResult> TransactionCommittingAsync(
            DbTransaction transaction,
            TransactionEventData eventData,
            InterceptionResult result,
            CancellationToken cancellationToken = default) =>
            new(TransactionCommitting(transaction, eventData, result));

        private sealed class Lost(Faults faults) : DbTransactionInterceptor
        {
            public override Task TransactionCommittedAsync(
                DbTransaction transaction, TransactionEndEventData eventData, CancellationToken cancellationToken = default) =>
                faults.AfterCommit > 0 && faults.AfterCommit-- > 0 ? Task.FromException(new TransientException()) : Task.CompletedTask;
        }
    }
}

public sealed class SqliteUnitRetryTests(SqliteDatabase database) : UnitRetrySpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresUnitRetryTests(PostgresDatabase database) : UnitRetrySpec(database), IClassFixture<PostgresDatabase>;
