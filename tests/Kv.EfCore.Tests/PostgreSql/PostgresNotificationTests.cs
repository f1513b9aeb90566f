using System.Diagnostics;
using Kv.Changes;
using Kv.PostgreSql;
using Kv.Sql;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>How processes tell one another of their commits. Who looks here looks once a day, so what comes was told.</summary>
public sealed class PostgresNotificationTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    /// <summary>Sends what it should once nobody holds the lock.</summary>
    private const string Held = "perform pg_advisory_xact_lock_shared(1); perform pg_catalog.pg_notify(channel, payload);";

    [Fact]
    public async Task A_watcher_is_told_of_commits_of_another_process()
    {
        await using var test = await CreateAsync();
        await using var other = await CreateAsync(test.ConnectionString);
        await using var watch = test.Store.WatchAsync([["a"]]).GetAsyncEnumerator();
        await watch.NextAsync();
        await WhenListeningAsync(test);

        for (var i = 1; i <= 5; i++)
        {
            await other.Store.SetAsync(["a"], i);
            Assert.Equal(i, (await watch.NextAsync())[0]!.As<int>());
        }
    }

    [Fact]
    public async Task A_watcher_is_told_of_a_users_own_transaction_of_this_process_when_it_is_committed()
    {
        await using var test = await CreateAsync();
        await using var watch = test.Store.WatchAsync([["a"]]).GetAsyncEnumerator();
        await watch.NextAsync();
        await WhenListeningAsync(test);
        await using var context = test.CreateContext();
        await using var transaction = await context.Database.BeginTransactionAsync();
        var versionstamp = (await test.Store.Atomic().Set(["a"], 1).CommitAsync(context)).Versionstamp;
        Assert.True(test.Engine.Signals.Seen.Highest < versionstamp.Version);

        await transaction.CommitAsync();

        Assert.Equal(versionstamp, (await watch.NextAsync())[0]!.Versionstamp);
    }

    [Fact]
    public async Task Many_commits_are_told_in_few_notifications_and_the_last_is_among_them()
    {
        await using var test = await CreateAsync();
        await using var ears = await NoticeReceiver.OpenAsync(test.ConnectionString);
        await test.Store.SetAsync(["a"], 0);
        var started = Stopwatch.GetTimestamp();
        KvVersionstamp last = default;
        for (var i = 0; i < 500; i++)
        {
            last = await test.Store.SetAsync(["a"], i);
        }

        var heard = await ears.UntilAsync(notice => notice.Version >= last.Version);

        Assert.InRange(heard.Count, 1, 3 + (int)(Stopwatch.GetElapsedTime(started) / ChangeNotifier.Interval));
        Assert.All(heard, notice => Assert.Equal(test.Engine.Notifier.Id, notice.Sender));
    }

    [Fact]
    public async Task What_is_told_says_what_there_is_to_look_for()
    {
        await using var test = await CreateAsync();
        await using var ears = await NoticeReceiver.OpenAsync(test.ConnectionString);

        await test.Store.SetAsync(["a"], 1);
        Assert.Equal(ChangeKinds.Version, (await ears.NextAsync()).What);
        await test.Store.EnqueueAsync("hello");
        Assert.Equal(ChangeKinds.Version | ChangeKinds.Messages, (await ears.NextAsync()).What);
        test.Engine.Signals.Wake(ChangeKinds.Cancel);
        Assert.Equal(ChangeKinds.Cancel, (await ears.NextAsync()).What);
    }

    [Fact]
    public async Task Nothing_is_told_of_what_is_refused_or_rolled_back()
    {
        await using var test = await CreateAsync();
        await using var ears = await NoticeReceiver.OpenAsync(test.ConnectionString);

        await test.Store.Atomic().Check(["a"], KvVersionstamp.FromVersion(7)).Set(["a"], 1).CommitAsync();
        await using (var context = test.CreateContext())
        {
            await using var transaction = await context.Database.BeginTransactionAsync();
            await test.Store.Atomic().Set(["a"], 1).Enqueue("hello").CommitAsync(context);
            await transaction.RollbackAsync();
        }

        var versionstamp = await test.Store.SetAsync(["a"], 2);
        Assert.Equal(new Notice(test.Engine.Notifier.Id, ChangeKinds.Version, versionstamp.Version), await ears.NextAsync());
    }

    [Fact]
    public async Task Notifications_that_fail_fail_no_commit_and_are_sent_again()
    {
        await using var test = await CreateAsync(await database.CreateWithNotifyAsync(
            "if to_regclass('broken') is not null then raise exception 'broken'; end if; perform pg_catalog.pg_notify(channel, payload);"));
        await using var ears = await NoticeReceiver.OpenAsync(test.ConnectionString);
        await ears.ExecuteAsync("create table broken ()");
        var last = await test.Store.SetAsync(["a"], 1);
        for (var i = 0; i < 10; i++)
        {
            last = await test.Store.SetAsync(["a"], i);
        }

        await ears.ExecuteAsync("drop table broken");

        // One that was on its way when the table went may come first. Only a hang waits in vain for the last.
        Notice notice;
        do
        {
            notice = await ears.NextAsync();
        }
        while (notice.Version < last.Version);

        Assert.Equal(last.Version, notice.Version);
    }

    [Fact]
    public async Task Notifications_that_hang_hold_up_no_commit_and_no_reader()
    {
        await using var test = await CreateAsync(await database.CreateWithNotifyAsync(Held));
        await using var ears = await NoticeReceiver.OpenAsync(test.ConnectionString);
        await ears.ExecuteAsync("select pg_advisory_lock(1)");
        KvVersionstamp last = default;
        for (var i = 0; i < 100; i++)
        {
            last = await test.Store.SetAsync(["a"], i);
            Assert.Equal(i, await test.Store.GetAsync<int>(["a"]));
        }

        await ears.ExecuteAsync("select pg_advisory_unlock(1)");

        await ears.UntilAsync(notice => notice.Version >= last.Version);
    }

    [Fact]
    public async Task Stores_in_other_schemas_of_the_database_are_told_nothing()
    {
        var connectionString = await database.CreateEmptyAsync();
        var (mine, others) = (new NpgsqlConnectionStringBuilder(connectionString) { SearchPath = "mine" }, new NpgsqlConnectionStringBuilder(connectionString) { SearchPath = "others" });
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync();
        await new NpgsqlCommand("create schema mine; create schema others", connection).ExecuteNonQueryAsync();
        await using var test = await CreateAsync(mine.ConnectionString);
        await using var other = await CreateAsync(others.ConnectionString);
        await test.Services.MigrateKvStoreAsync();
        await other.Services.MigrateKvStoreAsync();
        await using var ears = await NoticeReceiver.OpenAsync(mine.ConnectionString);

        await other.Store.SetAsync(["a"], 1);
        await other.DisposeAsync();
        await test.Store.SetAsync(["a"], 1);

        Assert.Equal(test.Engine.Notifier.Id, (await ears.NextAsync()).Sender);
    }

    [Fact]
    public async Task Without_notifications_nobody_listens_and_nobody_is_told()
    {
        await using var test = await database.CreateStoreAsync(options: static o => (o.Notifications, o.WatchInterval) = (false, TimeSpan.FromMilliseconds(10)));
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString, options: static o => o.Notifications = false);
        await using var ears = await NoticeReceiver.OpenAsync(test.ConnectionString);
        await using var watch = test.Store.WatchAsync([["a"]]).GetAsyncEnumerator();
        await watch.NextAsync();

        await other.Store.SetAsync(["a"], 1);
        Assert.NotNull((await watch.NextAsync())[0]);

        Assert.False(test.Engine.Listener.IsListening);
        await other.DisposeAsync();
        await ears.ExecuteAsync($"select pg_notify('{ears.Channel}', '7 7 v')");
        Assert.Equal(new Notice(7, ChangeKinds.Version, 7), await ears.NextAsync());
    }

    [Fact]
    public async Task A_network_that_falls_silent_is_noticed_and_what_it_swallowed_is_found()
    {
        await using var link = await FaultyLink.OpenAsync(database, static o => (o.Notifications, o.CommandTimeout, o.WatchInterval) = (true, TimeSpan.FromSeconds(2), TimeSpan.FromDays(1)));
        await using var other = await CreateAsync(link.Direct);
        var (test, listener) = (link.Test, link.Test.Engine.Listener);
        listener.ProbeInterval = TimeSpan.FromMilliseconds(50);
        await using var watch = test.Store.WatchAsync([["a"]]).GetAsyncEnumerator();
        await watch.NextAsync();
        await WhenListeningAsync(test);
        var lost = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        listener.ListeningChanged += () => lost.TrySetResult();
        var next = watch.MoveNextAsync().AsTask();

        link.Proxy.Refuse();
        link.Proxy.SwallowReplies();
        await other.Store.SetAsync(["a"], 1);

        await lost.Task.WaitAsync(Rows.Patience);
        link.Proxy.Heal();

        Assert.True(await next.WaitAsync(Rows.Patience));
        Assert.NotNull(watch.Current[0]);
        await WhenListeningAsync(test);
    }

    private Task<KvTestStore> CreateAsync(string? connectionString = null) =>
        database.CreateStoreAsync(connectionString: connectionString, options: static o => o.WatchInterval = TimeSpan.FromDays(1));

    private static Task WhenListeningAsync(KvTestStore test) => Rows.UntilAsync(() => test.Engine.Listener.IsListening);

    /// <summary>A connection that listens to a store's channel, as a further process does.</summary>
    private sealed class NoticeReceiver(NpgsqlConnection connection, string channel) : IAsyncDisposable
    {
        private readonly Queue<Notice> _heard = [];

        public string Channel => channel;

        public static async Task<NoticeReceiver> OpenAsync(string connectionString)
        {
            var connection = new NpgsqlConnection(connectionString);
            await connection.OpenAsync();
            var channel = (string)(await new NpgsqlCommand(new PostgreSqlSql(TableNames.Default, serverClock: true).Channel, connection).ExecuteScalarAsync())!;
            var ears = new NoticeReceiver(connection, channel);
            connection.Notification += (_, e) => ears._heard.Enqueue(Notice.Parse(e.Payload));
            await ears.ExecuteAsync(ServerSql.Listen(channel));
            return ears;
        }

        public async Task ExecuteAsync(string text)
        {
            await using var command = new NpgsqlCommand(text, connection);
            await command.ExecuteNonQueryAsync();
        }

        public async Task<Notice> NextAsync()
        {
            Notice notice;
            while (!_heard.TryDequeue(out notice))
            {
                using var patience = new CancellationTokenSource(Rows.Patience);
                await connection.WaitAsync(patience.Token);
            }

            return notice;
        }

        /// <summary>Everything up to the notice that was waited for.</summary>
        public async Task<List<Notice>> UntilAsync(Predicate<Notice> isLast)
        {
            List<Notice> heard = [];
            do
            {
                heard.Add(await NextAsync());
            }
            while (!isLast(heard[^1]));
            return heard;
        }

        public ValueTask DisposeAsync() => connection.DisposeAsync();
    }
}
