using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Kv.Tests.Specs;

/// <summary>
/// A database that goes back to an earlier state of itself under a store: a backup is put back, or a standby takes over that lacks the last
/// commits.
/// </summary>
public abstract class VersionLossSpec(KvDatabase database)
{
    protected const int WentBack = 184;

    [Fact]
    public async Task A_watch_goes_on_with_what_is_there_now_and_the_store_says_what_it_noticed_once()
    {
        var logs = new LogCollector();
        await using var test = await CreateAsync(logs);
        await WriteAsync(test, 9);
        await using var watch = test.Store.WatchAsync([["k"]]).GetAsyncEnumerator();
        Assert.Equal(9, (await watch.NextAsync())[0]!.As<int>());
        await GoBackAsync(test, to: 3);

        // Another process commits below what this one has seen.
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        for (var i = 100; i < 103; i++)
        {
            await other.Store.SetAsync(["k"], i);
            while ((await watch.NextAsync())[0]!.As<int>() != i)
            {
            }
        }

        var said = Assert.Single(logs.Entries, static e => e.Event == WentBack);
        Assert.Equal(LogLevel.Error, said.Level);
        Assert.Contains("this process has seen version 9 committed", said.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_version_that_was_given_out_is_not_given_out_again_by_a_process_that_has_seen_it()
    {
        var logs = new LogCollector();
        await using var test = await CreateAsync(logs);
        await WriteAsync(test, 9);
        var lost = (await test.Store.GetAsync(["k"]))!.Versionstamp;
        await GoBackAsync(test, to: 3);

        await LookAsync(test);
        await test.Store.SetAsync(["l"], 1);
        for (var i = 0; i < 20; i++)
        {
            var next = await test.Store.SetAsync(["k"], i);
            Assert.True(next > lost, $"{next} > {lost}");
        }

        Assert.False((await test.Store.Atomic().Check(["k"], lost).Set(["k"], 0).CommitAsync()).Succeeded);
        Assert.Single(logs.Entries, static e => e.Event == WentBack);
    }

    [Fact]
    public async Task A_store_that_goes_on_says_nothing_of_it_again()
    {
        var logs = new LogCollector();
        await using var test = await CreateAsync(logs);
        await WriteAsync(test, 5);
        await GoBackAsync(test, to: 1);
        await LookAsync(test);
        await WriteAsync(test, 5);
        await LookAsync(test);
        await Task.WhenAll(Enumerable.Range(0, 50).Select(async i =>
        {
            await test.Store.SetAsync(["k", i], i);
            await LookAsync(test);
        }));

        Assert.Single(logs.Entries, static e => e.Event == WentBack);
    }

    [Fact]
    public async Task Followers_of_changes_are_told_that_some_are_lost_also_when_versions_have_gone_on_above_theirs()
    {
        var logs = new LogCollector();
        await using var test = await CreateAsync(logs);
        var start = (await test.Services.GetRequiredService<IKvChanges>().EnableAsync()).Oldest!.Value;
        await WriteAsync(test, 9);
        await using var following = test.Store.ChangesAsync(start).GetAsyncEnumerator();
        KvChangeSet last;
        do
        {
            last = await following.NextAsync();
        }
        while (last.Versionstamp.Version < 9);

        await GoBackAsync(test, to: 3);
        await LookAsync(test);
        await WriteAsync(test, 5);

        await Assert.ThrowsAsync<KvChangesTooOldException>(() => following.NextAsync());
        await Assert.ThrowsAsync<KvChangesTooOldException>(
            () => test.Store.ChangesAsync(last.Versionstamp).GetAsyncEnumerator().NextAsync());
        await using var other = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        var error = await Assert.ThrowsAsync<KvChangesTooOldException>(
            () => other.Store.ChangesAsync(last.Versionstamp).GetAsyncEnumerator().NextAsync());

        var next = other.Store.ChangesAsync(error.FollowFrom).GetAsyncEnumerator().NextAsync();
        var stamp = await test.Store.SetAsync(["k"], 1);
        Assert.Equal(stamp, (await next).Versionstamp);
    }

    protected static async Task WriteAsync(KvTestStore test, int times)
    {
        for (var i = 1; i <= times; i++)
        {
            await test.Store.SetAsync(["k"], i);
        }
    }

    /// <summary>Takes back what a backup would not have.</summary>
    protected static Task GoBackAsync(KvTestStore test, long to) => test.ExecuteAsync($"""
        update data_version set version = {to} where k = 0; delete from data_version where k > 0;
        update kv set version = {to} where version > {to};
        """);

    /// <summary>Looks at the version, as what listens for other processes does.</summary>
    protected static async Task LookAsync(KvTestStore test)
    {
        var before = test.Engine.Signals.Seen.Current.Seen;
        test.Engine.Signals.Look(before, await test.Engine.Reader.VersionAsync(CancellationToken.None));
    }

    protected async Task<KvTestStore> CreateAsync(LogCollector logs)
    {
        var test = await database.CreateStoreAsync(services: services => services.AddSingleton(_ => logs.CreateProvider()));
        await test.Store.GetAsync(["k"]);
        return test;
    }
}

public sealed class SqliteVersionLossTests(SqliteDatabase database) : VersionLossSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresVersionLossTests(PostgresDatabase database) : VersionLossSpec(database), IClassFixture<PostgresDatabase>
{
    private readonly PostgresDatabase _database = database;

    [Fact]
    public async Task A_commit_that_was_answered_and_is_missing_is_noticed_even_if_others_have_made_up_for_the_version()
    {
        var logs = new LogCollector();
        await using var test = await CreateAsync(logs);
        await WriteAsync(test, 5);
        await GoBackAsync(test, to: 50);
        await _database.Server.TerminateBackendsAsync(new NpgsqlConnectionStringBuilder(test.ConnectionString).Database!);

        await WriteAsync(test, 2);
        await WriteAsync(test, 2);

        var said = Assert.Single(logs.Entries, static e => e.Event == WentBack);
        Assert.Contains(
            "commits that callers of this process were told of are not in it (it has version 50", said.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_connection_that_is_lost_and_opened_again_is_no_loss_of_commits()
    {
        var logs = new LogCollector();
        await using var test = await CreateAsync(logs);
        for (var i = 0; i < 5; i++)
        {
            await WriteAsync(test, 5);
            await test.Store.EnqueueAsync("m");
            await _database.Server.TerminateBackendsAsync(new NpgsqlConnectionStringBuilder(test.ConnectionString).Database!);
        }

        await WriteAsync(test, 1);

        Assert.DoesNotContain(logs.Entries, static e => e.Event == WentBack);
    }
}
