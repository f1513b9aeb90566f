using System.Data.Common;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.Tests.Specs;

/// <summary>However far a save or a commit comes, its entity and its messages are both there or neither.</summary>
public abstract class UnitFaultSpec(KvDatabase database)
{
    [Theory]
    [InlineData(true, true)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(false, false)]
    public async Task Whichever_step_is_the_last_one_the_entity_and_what_is_collected_are_both_there_or_neither(bool explicitly, bool plain)
    {
        var steps = new Steps();
        await using var shop = await Shop.OpenAsync(
            database,
            context: options => options.AddInterceptors(steps.BeforeCommands, steps.Before),
            after: options => options.AddInterceptors(steps.After));
        var all = await RunAsync(int.MaxValue);
        Assert.True(all > 6, $"There were only {all} steps.");

        for (var last = 1; last <= all; last++)
        {
            await RunAsync(last);
            var orders = (await shop.OrdersAsync()).Length;
            Assert.Equal(orders, (await shop.MessagesAsync()).Length);
            Assert.Equal(plain ? 0UL : (ulong)orders, await shop.Store.GetAsync<ulong>(["orders"]));
        }

        Assert.InRange((await shop.OrdersAsync()).Length, 2, all);

        async Task<int> RunAsync(int last)
        {
            await using var db = shop.Open();
            steps.Begin(last);
            try
            {
                db.Orders.Add(new ShopOrder { Name = $"{last}" });
                db.Kv().Enqueue("m");
                if (!plain)
                {
                    db.Kv().Sum(["orders"], 1);
                }

                await using var transaction = explicitly ? await db.Database.BeginTransactionAsync() : null;
                await db.SaveChangesAsync();
                if (transaction is not null)
                {
                    await transaction.CommitAsync();
                }
            }
            catch (Exception error) when (error is TransientException or DbUpdateException { InnerException: TransientException })
            {
                // Nothing else comes: what the process did so far is all.
            }

            return steps.End();
        }
    }

    /// <summary>Fails at a step that it is told, before the store's interceptor has its turn or after it.</summary>
    private sealed class Steps
    {
        private int _last = int.MaxValue;
        private int _count;

        public Steps() => (BeforeCommands, Before, After) = (new Commands(this), new Events(this), new Events(this));

        public IInterceptor BeforeCommands { get; }

        public IInterceptor Before { get; }

        public IInterceptor After { get; }

        public void Begin(int last) => (_last, _count) = (last, 0);

        public int End()
        {
            _last = int.MaxValue;
            return _count;
        }

        private void Pass()
        {
            if (++_count == _last)
            {
                throw new TransientException();
            }
        }

        private sealed class Commands(Steps steps) : DbCommandInterceptor
        {
            public override ValueTask<DbDataReader> ReaderExecutedAsync(
                DbCommand command, CommandExecutedEventData eventData, DbDataReader result, CancellationToken cancellationToken = default)
            {
                steps.Pass();
                return new(result);
            }
        }

        private sealed class Events(Steps steps) : DbTransactionInterceptor, ISaveChangesInterceptor
        {
            public override ValueTask<DbTransaction> TransactionStartedAsync(
                DbConnection connection,
                TransactionEndEventData eventData,
                DbTransaction result,
                CancellationToken cancellationToken = default)
            {
                steps.Pass();
                return new(result);
            }

            public override ValueTask<InterceptionResult> TransactionCommittingAsync(
                DbTransaction transaction,
                TransactionEventData eventData,
                InterceptionResult result,
                CancellationToken cancellationToken = default)
            {
                steps.Pass();
                return new(result);
            }

            public override Task TransactionCommittedAsync(
                DbTransaction transaction, TransactionEndEventData eventData, CancellationToken cancellationToken = default)
            {
                steps.Pass();
                return Task.CompletedTask;
            }

            public ValueTask<InterceptionResult<int>> SavingChangesAsync(
                DbContextEventData eventData, InterceptionResult<int> result, CancellationToken cancellationToken = default)
            {
                steps.Pass();
                return new(result);
            }

            public ValueTask<int> SavedChangesAsync(
                SaveChangesCompletedEventData eventData, int result, CancellationToken cancellationToken = default)
            {
                steps.Pass();
                return new(result);
            }
        }
    }
}

public sealed class SqliteUnitFaultTests(SqliteDatabase database) : UnitFaultSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresUnitFaultTests(PostgresDatabase database) : UnitFaultSpec(database), IClassFixture<PostgresDatabase>;
