using System.Data.Common;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>What a commit of a context takes on the server, and what it does not.</summary>
public sealed class PostgresUnitTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    [Fact]
    public async Task A_commit_that_the_context_sees_has_no_notification_in_it_and_others_have()
    {
        var address = await database.CreateWithNotifyAsync("raise exception 'notified';");
        await using var shop = await Shop.OpenAsync(database, connectionString: address, store: static o => o.Notifications = true);
        await using var db = shop.Open();
        await db.Database.ExecuteSqlRawAsync(db.Database.GenerateCreateScript());
        db.Orders.Add(new ShopOrder { Name = "first" });
        db.Kv().Enqueue("m").Set(["k"], 1);
        await db.SaveChangesAsync();
        Assert.Single(await shop.MessagesAsync());

        await using var transaction = await db.Database.BeginTransactionAsync();
        db.Kv().Enqueue("m");
        var error = await Assert.ThrowsAsync<PostgresException>(() => db.Kv().FlushAsync().AsTask());
        Assert.Contains("notified", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_notification_in_a_transaction_of_the_users_leaves_it_as_durable_as_it_was()
    {
        await using var shop = await Shop.OpenAsync(database, store: static o => o.Notifications = true);
        await using var db = shop.Open();
        await using var transaction = await db.Database.BeginTransactionAsync();
        db.Kv().Enqueue("m");
        await db.Kv().FlushAsync();

        const string Setting = "select current_setting('synchronous_commit') as \"Value\"";
        Assert.Equal("on", await db.Database.SqlQueryRaw<string>(Setting).SingleAsync());
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(3, true)]
    [InlineData(1, false)]
    [InlineData(3, false)]
    public async Task Messages_that_nothing_orders_wait_for_no_other_transaction(int count, bool retries)
    {
        await using var shop = await Shop.OpenAsync(database, context: options =>
        {
            if (retries)
            {
                Shop.Retry(options);
            }
        });
        await using var holder = shop.Open();
        await using var held = await holder.Database.BeginTransactionAsync();
        holder.Kv().Set(["held"], 1);
        await holder.Kv().FlushAsync();

        await using var db = shop.Open();
        db.Orders.Add(new ShopOrder { Name = "first" });
        for (var i = 0; i < count; i++)
        {
            db.Kv().Enqueue($"{i}", new() { Topic = "t", Delay = TimeSpan.FromMinutes(i), Priority = i, RateKey = i == 0 ? null : $"{i}" });
        }

        await db.SaveChangesAsync();

        await using var context = shop.Test.CreateContext();
        var messages = await context.QueuedMessages.OrderBy(static m => m.Id).ToListAsync();
        Assert.Equal(db.Kv().LastCommit!.MessageIds, messages.Select(static m => m.Id));
        Assert.Equal(Enumerable.Range(0, count), messages.Select(static m => m.Priority));
        Assert.Equal(Enumerable.Range(0, count).Select(static i => 60_000L * i), messages.Select(static m => m.DueAt - m.EnqueuedAt));
        Assert.Equal(Enumerable.Range(0, count).Select(static i => i == 0 ? null : $"{i}"), messages.Select(static m => m.RateKey));
        Assert.All(messages, static m => Assert.Equal(("t", true, 0L), (m.Topic, m.TopicRetries, m.Version)));
    }

    [Theory]
    [InlineData(1, true)]
    [InlineData(3, true)]
    [InlineData(1, false)]
    [InlineData(3, false)]
    public async Task Where_another_clock_decides_messages_go_by_it(int count, bool retries)
    {
        await using var shop = await Shop.OpenAsync(
            database,
            context: options =>
            {
                if (retries)
                {
                    Shop.Retry(options);
                }
            },
            store: static o => o.Clock = KvClockSource.Injected);
        await using var db = shop.Open();
        await using var other = shop.Test.CreateContext();
        var before = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
        db.Orders.Add(new ShopOrder { Name = "first" });
        for (var i = 0; i < count; i++)
        {
            db.Kv().Enqueue($"{i}");
        }

        await db.SaveChangesAsync();

        var messages = await other.QueuedMessages.ToListAsync();
        Assert.Equal(count, messages.Count);
        Assert.All(messages, m => Assert.InRange(m.EnqueuedAt, before, TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds()));
        Assert.Equal(retries ? 1 : 0, await other.Versions.CountAsync(static v => v.Key != 0 && v.Version == -1));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_the_search_path_leads_elsewhere_nothing_is_written_and_the_transaction_goes_on(bool plain)
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        await db.Database.OpenConnectionAsync();
        await db.Database.ExecuteSqlRawAsync("create schema app; create table app.queue (like public.queue including all)");

        // The statements are prepared on this session of the server, and by their text they are right.
        db.Orders.Add(new ShopOrder { Name = "first" });
        db.Kv().Enqueue("m");
        await db.SaveChangesAsync();
        await using var transaction = await db.Database.BeginTransactionAsync();
        db.Orders.Add(new ShopOrder { Name = "second" });
        await db.SaveChangesAsync();
        await db.Database.ExecuteSqlRawAsync("set search_path to app, public");
        db.Kv().Enqueue("m");
        if (!plain)
        {
            db.Kv().Set(["k"], 1);
        }

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => transaction.CommitAsync());

        Assert.Contains("one commit spans one database", error.Message, StringComparison.Ordinal);
        db.Kv().Clear();
        await db.Database.ExecuteSqlRawAsync("set search_path to public");
        db.Kv().Enqueue("m");
        await transaction.CommitAsync();
        Assert.Equal(["first", "second"], await shop.OrdersAsync());
        Assert.Equal(2, (await shop.MessagesAsync()).Length);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_question_about_a_commit_that_is_under_way_waits_for_its_end(bool takesVersion)
    {
        var hold = new Hold();
        await using var shop = await Shop.OpenAsync(database, context: Shop.Retry, after: options => options.AddInterceptors(hold));
        await using var db = shop.Open();
        var marks = shop.Test.Engine.JoinedMarks.Take();
        var mark = marks.Current with { Sequence = marks.Current.Sequence + 1 };
        shop.Test.Engine.JoinedMarks.Return(marks);
        db.Orders.Add(new ShopOrder { Name = "first" });
        db.Kv().Enqueue("m", new() { GroupKey = takesVersion ? "g" : null });
        var saving = db.SaveChangesAsync();
        await hold.Reached.Task.WaitAsync(Rows.Patience);

        var asking = shop.Test.Engine.Runner.ResolveAsync(mark, default).AsTask();
        await WhenItWaitsAsync(shop);
        Assert.False(asking.IsCompleted);
        hold.End.SetResult();
        await saving;

        Assert.NotNull(await asking);
        Assert.Single(await shop.MessagesAsync());
    }

    /// <summary>Waits until a session of the server waits for a lock.</summary>
    private static async Task WhenItWaitsAsync(Shop shop)
    {
        await using var context = shop.Test.CreateContext();
        var started = TimeProvider.System.GetTimestamp();
        const string Waiting = """
            select count(*)::int as "Value" from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
            """;
        while (await context.Database.SqlQueryRaw<int>(Waiting).SingleAsync() == 0)
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < Rows.Patience, "Nothing waits.");
        }
    }

    /// <summary>Holds a transaction whose store's part is written already.</summary>
    private sealed class Hold : DbTransactionInterceptor
    {
        public TaskCompletionSource Reached { get; } = new();

        public TaskCompletionSource End { get; } = new();

        public override async ValueTask<InterceptionResult> TransactionCommittingAsync(
            DbTransaction transaction,
            TransactionEventData eventData,
            InterceptionResult result,
            CancellationToken cancellationToken = default)
        {
            Reached.SetResult();
            await End.Task;
            return result;
        }
    }
}
