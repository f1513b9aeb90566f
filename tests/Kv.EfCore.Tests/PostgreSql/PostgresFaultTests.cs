using Kv.Diagnostics;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>What a network and a server can do to a commit.</summary>
public sealed class PostgresFaultTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    private static readonly TimeSpan Hang = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task A_connection_cut_before_its_COMMIT_was_sent_commits_once()
    {
        await using var link = await OpenAsync();
        link.Test.FailPoints.OnHit = Once(FailPoints.BeforeCommit, () =>
        {
            link.Proxy.Cut();
            return ValueTask.CompletedTask;
        });

        await AddOnceAsync(link);
    }

    [Fact]
    public async Task A_commit_whose_answer_was_lost_is_found_and_counts_once()
    {
        await using var link = await OpenAsync();
        link.Test.FailPoints.OnHit = Once(FailPoints.BeforeCommit, () =>
        {
            link.Proxy.CutAtNextReply();
            return ValueTask.CompletedTask;
        });

        await AddOnceAsync(link);
    }

    [Fact]
    public async Task A_backend_that_is_ended_before_COMMIT_does_not_lose_the_write()
    {
        await using var link = await OpenAsync();
        link.Test.FailPoints.OnHit = Once(FailPoints.BeforeCommit, () => new ValueTask(link.EndBackendsAsync()));

        await AddOnceAsync(link);
    }

    [Fact]
    public async Task A_message_that_arrives_after_it_was_found_uncommitted_is_there_once()
    {
        await using var link = await OpenAsync();
        await link.Test.Store.EnqueueAsync("warm");
        await link.Test.Store.EnqueueAsync("warm");
        var held = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        link.Test.FailPoints.OnHit = Once(FailPoints.BeforeCommit, () =>
        {
            _ = link.Proxy.HoldRequests().ContinueWith(_ => held.SetResult(), TaskScheduler.Default);
            return ValueTask.CompletedTask;
        });
        var sending = link.Test.Store.EnqueueAsync("hello").AsTask();
        await held.Task.WaitAsync(Hang);
        link.Proxy.Cut();
        await sending.WaitAsync(Hang);

        await link.Proxy.ReleaseRequestsAsync().WaitAsync(Hang);

        await using var context = link.Test.CreateContext();
        Assert.Equal(3, await context.QueuedMessages.CountAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_commit_that_no_session_can_ask_about_is_unknown_and_resolves_later(bool landed)
    {
        await using var link = await OpenAsync(static o => o.CommandTimeout = TimeSpan.FromSeconds(2));
        link.Test.FailPoints.OnHit = Once(FailPoints.BeforeCommit, () =>
        {
            link.Proxy.Refuse();
            if (landed)
            {
                link.Proxy.CutAtNextReply();
            }
            else
            {
                link.Proxy.Cut();
            }

            return ValueTask.CompletedTask;
        });

        var unknown = await Assert.ThrowsAsync<KvCommitUnknownException>(() => link.Test.Store.Atomic().Sum(["sum"], 10).CommitAsync().AsTask());
        link.Proxy.Heal();

        Assert.Equal(KvErrorKind.CommitUnknown, unknown.Kind);
        var id = KvOperationId.Parse(unknown.OperationId.ToString());
        var versionstamp = await link.Test.Store.ResolveAsync(id);
        Assert.Equal(landed, versionstamp is not null);
        var entry = (await link.Test.Store.GetAsync(["sum"]))!;
        Assert.Equal(landed ? 13ul : 3ul, entry.As<ulong>());
        if (landed)
        {
            Assert.Equal(versionstamp, entry.Versionstamp);
        }

        // The answer stays what it is, for other processes too, whatever this one writes meanwhile.
        await link.Test.Store.Atomic().Sum(["sum"], 1).CommitAsync();
        await using var other = await database.CreateStoreAsync(connectionString: link.Direct);
        Assert.Equal(versionstamp, await other.Store.ResolveAsync(id));
    }

    [Fact]
    public async Task A_server_that_stops_answering_after_COMMIT_makes_it_unknown_and_resolves_later()
    {
        await using var link = await OpenAsync(static o => o.CommandTimeout = TimeSpan.FromSeconds(2));
        link.Test.FailPoints.OnHit = Once(FailPoints.BeforeCommit, () =>
        {
            link.Proxy.Refuse();
            link.Proxy.SwallowReplies();
            return ValueTask.CompletedTask;
        });

        var unknown = await Assert.ThrowsAsync<KvCommitUnknownException>(() => link.Test.Store.Atomic().Sum(["sum"], 10).CommitAsync().AsTask());
        link.Proxy.Heal();

        Assert.NotNull(await link.Test.Store.ResolveAsync(unknown.OperationId));
        Assert.Equal(13ul, await link.Test.Store.GetAsync<ulong>(["sum"]));
    }

    [Fact]
    public async Task A_server_that_stops_answering_is_given_up_in_time_where_a_statement_is_new_to_the_connection_too()
    {
        await using var link = await OpenAsync(static o => o.CommandTimeout = TimeSpan.FromSeconds(2));
        await link.Test.Store.GetAsync<ulong>(["sum"]);
        link.Proxy.Refuse();
        link.Proxy.SwallowReplies();

        // The connection is open, and nothing was listed over it before.
        var error = await Assert.ThrowsAsync<KvException>(() => link.Test.Store.ListAsync(KvRange.Prefix([])).ToListAsync().AsTask().WaitAsync(Rows.Patience));

        Assert.Equal(KvErrorKind.Unavailable, error.Kind);
    }

    [Fact]
    public async Task A_database_that_is_away_before_COMMIT_is_unavailable_and_nothing_was_written()
    {
        await using var link = await OpenAsync(static o => o.CommandTimeout = TimeSpan.FromSeconds(1));
        link.Proxy.Refuse();
        link.Proxy.Cut();

        var write = await Assert.ThrowsAsync<KvException>(() => link.Test.Store.Atomic().Sum(["sum"], 10).CommitAsync().AsTask());
        var read = await Assert.ThrowsAsync<KvException>(() => link.Test.Store.GetAsync(["sum"]).AsTask());
        link.Proxy.Heal();

        Assert.Equal((KvErrorKind.Unavailable, KvErrorKind.Unavailable), (write.Kind, read.Kind));
        Assert.Equal(3ul, await link.Test.Store.GetAsync<ulong>(["sum"]));
    }

    [Fact]
    public async Task A_store_whose_first_connection_is_reset_is_unavailable_and_does_not_miss_its_tables()
    {
        var direct = new NpgsqlConnectionStringBuilder(await database.CreateMigratedAsync());
        await using var proxy = new TcpProxy(direct.Host!, direct.Port);
        proxy.Refuse();
        var through = new NpgsqlConnectionStringBuilder(direct.ConnectionString) { Host = "127.0.0.1", Port = proxy.Port }.ConnectionString;
        await using var test = await database.CreateStoreAsync(options: static o => o.CommandTimeout = TimeSpan.FromSeconds(1), connectionString: through);

        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.GetAsync(["a"]).AsTask());
        proxy.Heal();

        Assert.Equal(KvErrorKind.Unavailable, error.Kind);
        Assert.Null(await test.Store.GetAsync(["a"]));
    }

    [Fact]
    public async Task A_store_that_is_disposed_of_while_it_waits_for_its_first_connection_waits_no_longer()
    {
        var direct = new NpgsqlConnectionStringBuilder(await database.CreateMigratedAsync());
        await using var proxy = new TcpProxy(direct.Host!, direct.Port);
        proxy.Refuse();
        var through = new NpgsqlConnectionStringBuilder(direct.ConnectionString) { Host = "127.0.0.1", Port = proxy.Port }.ConnectionString;
        await using var test = await database.CreateStoreAsync(options: static o => o.CommandTimeout = TimeSpan.FromMinutes(5), connectionString: through);
        var reading = test.Store.GetAsync(["a"]).AsTask();

        await test.Engine.DisposeAsync().AsTask().WaitAsync(Rows.Patience);

        await Assert.ThrowsAsync<ObjectDisposedException>(() => reading.WaitAsync(Rows.Patience));
    }

    [Fact]
    public async Task Reads_survive_cuts_and_ended_backends()
    {
        await using var link = await OpenAsync();
        for (var i = 0; i < 10; i++)
        {
            if (i % 2 == 0)
            {
                link.Proxy.Cut();
            }
            else
            {
                await link.EndBackendsAsync();
            }

            var reads = Enumerable.Range(0, 8).Select(_ => link.Test.Store.GetAsync<ulong>(["sum"]).AsTask());
            Assert.All(await Task.WhenAll(reads).WaitAsync(Hang), static sum => Assert.Equal(3ul, sum));
            Assert.Equal([3ul, 3ul], (await link.Test.Store.GetManyAsync([["sum"], ["sum"]])).Select(static e => e!.As<ulong>()));
            Assert.Single(await link.Test.Store.ListAsync(KvRange.Prefix(KvKey.Empty)).ToListAsync());
        }
    }

    [Fact]
    public async Task A_process_that_dies_between_its_statements_leaves_no_lock()
    {
        await using var link = await OpenAsync(static o => o.CommandTimeout = TimeSpan.FromSeconds(6));
        await using var other = await database.CreateStoreAsync(connectionString: link.Direct);
        var dead = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var revived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        link.Test.FailPoints.OnHit = Once(FailPoints.BeforeCommit, () =>
        {
            // Cut off without a word: the server still believes in the connection, which holds the version row.
            dead.SetResult();
            return new ValueTask(revived.Task);
        });
        var dying = link.Test.Store.Atomic().Sum(["sum"], 10).CommitAsync().AsTask();
        await dead.Task.WaitAsync(Hang);

        await other.Store.Atomic().Sum(["sum"], 1).CommitAsync().AsTask().WaitAsync(Hang);

        // It was only asleep, and finds its transaction gone: it runs it again.
        revived.SetResult();
        await dying.WaitAsync(Hang);
        Assert.Equal(14ul, await other.Store.GetAsync<ulong>(["sum"]));
    }

    private static async Task AddOnceAsync(FaultyLink link)
    {
        var result = await link.Test.Store.Atomic().Sum(["sum"], 10).CommitAsync().AsTask().WaitAsync(Hang);

        var entry = (await link.Test.Store.GetAsync(["sum"]))!;
        Assert.Equal(13ul, entry.As<ulong>());
        Assert.Equal(result.Versionstamp, entry.Versionstamp);
    }

    private static Func<string, ValueTask> Once(string point, Func<ValueTask> act)
    {
        var hits = 0;
        return hit => hit == point && Interlocked.Increment(ref hits) == 1 ? act() : ValueTask.CompletedTask;
    }

    // Three sums beforehand, so that every statement is prepared and the next round trip is the commit's own.
    private async Task<FaultyLink> OpenAsync(Action<KvStoreOptions>? options = null)
    {
        var link = await FaultyLink.OpenAsync(database, options);
        for (var i = 0; i < 3; i++)
        {
            await link.Test.Store.Atomic().Sum(["sum"], 1).CommitAsync();
        }

        return link;
    }
}
