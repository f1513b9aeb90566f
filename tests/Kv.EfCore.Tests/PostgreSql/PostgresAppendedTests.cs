using System.Data.Common;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;
using Npgsql.EntityFrameworkCore.PostgreSQL.Infrastructure;

namespace Kv.Tests.PostgreSql;

/// <summary>Messages that go to the server with a command of <c>SaveChanges</c>, from the second commit of a session on.</summary>
public sealed class PostgresAppendedTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    public static MatrixTheoryData<string, int, bool, bool, int> Saves { get; } =
        new(["add", "add many", "update", "remove", "all"], [1, 3], [true, false], [true, false], [1, 1000]);

    [Theory]
    [MemberData(nameof(Saves))]
    public async Task Whatever_a_save_does_its_messages_go_with_it_once(string change, int messages, bool isAsync, bool retries, int batch)
    {
        var commands = new Commands();
        await using var shop = await OpenAsync(commands, retries, batch);
        await using var db = shop.Open();
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
                db.Kv().Enqueue($"{i}.{n}", new() { Topic = "t", Delay = TimeSpan.FromMinutes(n), Priority = n, RateKey = n == 0 ? null : "r" });
            }

            var rode = commands.Appended;
            await SaveAsync(db, isAsync);

            Assert.Equal(i == 0 ? 0 : 1, commands.Appended - rode);
            Assert.Equal(0, db.Kv().PendingCount);
            Assert.Equal(messages, db.Kv().LastCommit!.MessageIds.Count);
            ids.AddRange(db.Kv().LastCommit!.MessageIds);
        }

        Assert.Equal(expected.Order(), (await shop.OrdersAsync()).Order());
        await using var context = shop.Test.CreateContext();
        var stored = await context.QueuedMessages.OrderBy(static m => m.Id).ToListAsync();
        Assert.Equal(ids, stored.Select(static m => m.Id));
        Assert.Equal(Enumerable.Range(0, ids.Count).Select(i => i % messages), stored.Select(static m => m.Priority));
        Assert.All(stored, static m => Assert.Equal((60_000L * m.Priority, "t", m.Priority == 0 ? null : "r"), (m.DueAt - m.EnqueuedAt, m.Topic, m.RateKey)));

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
        var commands = new Commands();
        await using var shop = await OpenAsync(commands);
        await using var db = shop.Open();
        await SaveFirstAsync(db);
        var twice = db.Add(new ShopOrder { Name = "first" }).Entity;
        db.Add(new ShopOrder { Name = "second" });
        for (var n = 0; n < messages; n++)
        {
            db.Kv().Enqueue("m");
        }

        var error = await Assert.ThrowsAsync<DbUpdateException>(() => SaveAsync(db, isAsync));
        Assert.Equal(PostgresErrorCodes.UniqueViolation, Assert.IsType<PostgresException>(error.InnerException).SqlState);
        Assert.Equal(1, commands.Appended);
        Assert.Equal(messages, db.Kv().PendingCount);
        Assert.Single(await shop.MessagesAsync());

        twice.Name = "third";
        await SaveAsync(db, isAsync);
        Assert.Equal(2, commands.Appended);
        Assert.Equal(["first", "second", "third"], (await shop.OrdersAsync()).Order());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_an_entity_was_changed_by_others_its_messages_are_not_sent(bool isAsync)
    {
        var commands = new Commands();
        await using var shop = await OpenAsync(commands);
        await using var db = shop.Open();
        var first = await SaveFirstAsync(db);
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
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_the_session_finds_other_tables_the_save_says_so_and_nothing_is_written(bool isAsync)
    {
        var commands = new Commands();
        await using var shop = await OpenAsync(commands);
        await using var db = shop.Open();
        await db.Database.OpenConnectionAsync();
        await SaveFirstAsync(db);
        await db.Database.ExecuteSqlRawAsync(
            "create schema app; create table app.queue (like public.queue including all); set search_path to app, public");
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => SaveAsync(db, isAsync));
        Assert.Contains("one commit spans one database", error.Message, StringComparison.Ordinal);
        Assert.Equal(1, commands.Appended);
        Assert.Equal(["first"], await shop.OrdersAsync());
        Assert.Single(await shop.MessagesAsync());
        Assert.Equal(0, await db.Database.SqlQueryRaw<int>("select count(*)::int as \"Value\" from app.queue").SingleAsync());

        await db.Database.ExecuteSqlRawAsync("set search_path to public");
        await SaveAsync(db, isAsync);
        Assert.Equal(["first", "second"], await shop.OrdersAsync());
        Assert.Equal(2, (await shop.MessagesAsync()).Length);
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public async Task What_interceptors_collect_after_the_command_has_run_is_in_the_same_commit(bool retries, bool isPlain)
    {
        var collect = new AtCommit(db => (isPlain ? db.Kv() : db.Kv().Set(["k"], 1)).Enqueue("late"));
        var commands = new Commands();
        await using var shop = await OpenAsync(commands, retries, context: options => options.AddInterceptors(collect));
        await using var db = shop.Open();
        await SaveFirstAsync(db);
        collect.IsOn = true;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("early");

        await db.SaveChangesAsync();

        Assert.Equal(1, commands.Appended);
        var commit = db.Kv().LastCommit!;
        Assert.Equal(2, commit.MessageIds.Count);
        Assert.Equal(0, db.Kv().PendingCount);
        Assert.Equal(isPlain ? null : (await shop.Store.GetAsync(["k"]))!.Versionstamp, commit.Versionstamp);
        Assert.Equal(commit.MessageIds, (await shop.MessagesAsync()).Skip(1));
    }

    [Fact]
    public async Task What_is_cleared_while_the_save_writes_it_is_not_committed()
    {
        var clear = new AtCommit(static db => db.Kv().Clear());
        await using var shop = await OpenAsync(new Commands(), context: options => options.AddInterceptors(clear));
        await using var db = shop.Open();
        await SaveFirstAsync(db);
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
        await using var shop = await OpenAsync(
            new Commands { RunsItself = true },
            context: options =>
            {
                if (!tellsEnd)
                {
                    options.AddInterceptors(new ClosesReaders());
                }
            });
        await using var db = shop.Open();
        await SaveFirstAsync(db);
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
        var commands = new Commands();
        await using var shop = await OpenAsync(commands, retries: true, context: options => options.AddInterceptors(fail));
        await using var db = shop.Open();
        await SaveFirstAsync(db);
        fail.IsOn = afterTheCommand;
        commands.FailsOnce = !afterTheCommand;
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        await db.SaveChangesAsync();

        Assert.Equal(2, commands.Appended);
        Assert.Equal(["first", "second"], await shop.OrdersAsync());
        Assert.Equal(db.Kv().LastCommit!.MessageIds, (await shop.MessagesAsync()).Skip(1));
        Assert.True(await db.Kv().WasCommittedAsync());
    }

    [Fact]
    public async Task A_mark_that_rides_with_a_message_tells_of_the_commit()
    {
        await using var shop = await OpenAsync(new Commands(), retries: true);
        await using var db = shop.Open();
        await SaveFirstAsync(db);
        var marks = shop.Test.Engine.JoinedMarks.Take();
        var next = marks.Current with { Sequence = marks.Current.Sequence + 1 };
        shop.Test.Engine.JoinedMarks.Return(marks);
        db.Add(new ShopOrder { Name = "second" });
        db.Kv().Enqueue("m");

        await db.SaveChangesAsync();

        Assert.NotNull(await shop.Test.Engine.Runner.ResolveAsync(next, default));
    }

    [Fact]
    public async Task What_comes_again_and_again_is_prepared_and_survives_a_change_of_its_table()
    {
        await using var shop = await OpenAsync(new Commands());
        await using var db = shop.Open();
        await db.Database.OpenConnectionAsync();
        await SaveFirstAsync(db);
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
        var commands = new Commands();
        await using var shop = await OpenAsync(commands, store: static options => options.TransactionPooling = true);
        await using var db = shop.Open();
        await db.Database.OpenConnectionAsync();
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

    private static async Task<ShopOrder> SaveFirstAsync(ShopContext db)
    {
        var order = db.Add(new ShopOrder { Name = "first" }).Entity;
        db.Kv().Enqueue("m");
        await db.SaveChangesAsync();
        return order;
    }

    private static Task SaveAsync(ShopContext db, bool isAsync) => isAsync ? db.SaveChangesAsync() : Task.Run(() => db.SaveChanges());

    private Task<Shop> OpenAsync(
        Commands commands,
        bool retries = false,
        int batch = 1000,
        Action<DbContextOptionsBuilder>? context = null,
        Action<KvStoreOptions>? store = null) => Shop.OpenAsync(
            database,
            options =>
            {
                new NpgsqlDbContextOptionsBuilder(options).MaxBatchSize(batch);
                if (retries)
                {
                    Shop.Retry(options);
                }

                context?.Invoke(options);
            },
            options => options.AddInterceptors(commands),
            store: store);

    /// <summary>Does something of an application's when a transaction is about to be committed, before the store's part.</summary>
    private sealed class AtCommit(Action<ShopContext> act) : DbTransactionInterceptor
    {
        public bool IsOn { get; set; }

        public override ValueTask<InterceptionResult> TransactionCommittingAsync(
            DbTransaction transaction, TransactionEventData eventData, InterceptionResult result, CancellationToken cancellationToken = default)
        {
            if (IsOn)
            {
                IsOn = false;
                act((ShopContext)eventData.Context!);
            }

            return new(result);
        }
    }

    /// <summary>An application's interceptor that comes before the store's, and closes what that would read.</summary>
    private sealed class ClosesReaders : DbCommandInterceptor
    {
        public override async ValueTask<InterceptionResult> DataReaderClosingAsync(
            DbCommand command, DataReaderClosingEventData eventData, InterceptionResult result)
        {
            if (command.CommandText.Contains("efkv_put", StringComparison.Ordinal))
            {
                await eventData.DataReader.CloseAsync();
            }

            return result;
        }
    }

    /// <summary>An application's interceptor that comes after the store's.</summary>
    private sealed class Commands : DbCommandInterceptor
    {
        public int Appended { get; private set; }

        public bool RunsItself { get; init; }

        public bool FailsOnce { get; set; }

        public override InterceptionResult<DbDataReader> ReaderExecuting(
            DbCommand command, CommandEventData eventData, InterceptionResult<DbDataReader> result)
        {
            Count(command);
            return result;
        }

        public override async ValueTask<InterceptionResult<DbDataReader>> ReaderExecutingAsync(
            DbCommand command,
            CommandEventData eventData,
            InterceptionResult<DbDataReader> result,
            CancellationToken cancellationToken = default)
        {
            Count(command);
            return !RunsItself ? result
                : InterceptionResult<DbDataReader>.SuppressWithResult(await command.ExecuteReaderAsync(cancellationToken));
        }

        public override async ValueTask<DbDataReader> ReaderExecutedAsync(
            DbCommand command, CommandExecutedEventData eventData, DbDataReader result, CancellationToken cancellationToken = default)
        {
            if (FailsOnce)
            {
                FailsOnce = false;
                await result.DisposeAsync();
                throw new TransientException();
            }

            return result;
        }

        private void Count(DbCommand command) =>
            Appended += command.CommandText.Contains("efkv_put", StringComparison.Ordinal) ? 1 : 0;
    }
}
