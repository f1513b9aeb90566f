using Kv.TestKit;
using Microsoft.Data.Sqlite;

namespace Kv.Tests.Sqlite;

/// <summary>A file that is deleted, moved or replaced under a store that has it open.</summary>
public sealed class SqliteLossTests(SqliteDatabase database) : IClassFixture<SqliteDatabase>
{
    private readonly ManualTime _time = new();

    [Theory]
    [InlineData("deleted")]
    [InlineData("deleted with its log")]
    [InlineData("moved")]
    [InlineData("log deleted")]
    public async Task The_next_write_into_a_file_that_is_gone_is_not_answered_as_done_and_nothing_is_made_in_its_place(string how)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows keeps an open file where it is.");
        await using var test = await SweptAsync();
        await test.Store.SetAsync(["k"], 1);
        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
        var file = Take(test, how);

        var errors = await Task.WhenAll(Enumerable.Range(0, 5).Select(async i =>
            await Record.ExceptionAsync(() => i == 0 ? test.Store.EnqueueAsync("m").AsTask() : test.Store.SetAsync(["k"], 2).AsTask())));

        var error = Assert.IsType<KvCommitUnknownException>(errors[0]);
        Assert.StartsWith(how == "log deleted" ? $"The log '{file}-wal' of the file was deleted or moved" : $"The file '{file}' was deleted, moved or replaced", error.Message, StringComparison.Ordinal);
        Assert.Contains("restore a backup", error.Message, StringComparison.Ordinal);
        if (how != "log deleted")
        {
            // Without its log the file is still there, and goes on with a new one.
            Assert.All(errors, static e => Assert.IsType<KvException>(e, exactMatch: false));
            Assert.Equal(KvErrorKind.Schema, (await Assert.ThrowsAsync<KvException>(() => test.Store.GetAsync(["k"]).AsTask())).Kind);
            Assert.Equal(KvErrorKind.Schema, (await Assert.ThrowsAsync<KvException>(() => test.Store.SetAsync(["k"], 3).AsTask())).Kind);
            Assert.False(File.Exists(file));
        }
    }

    [Fact]
    public async Task After_a_file_was_replaced_the_write_that_found_out_is_told_and_later_calls_are_on_the_new_one()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows keeps an open file where it is.");
        await using var test = await SweptAsync();
        await test.Store.SetAsync(["k"], "old");
        for (var i = 0; i < 200; i++)
        {
            // So that one session keeps the file's read lock for all.
            await test.Store.GetAsync(["k"]);
        }

        await using var held = test.Store.ListAsync(KvRange.Prefix([]), new() { Snapshot = true, BatchSize = 1 }).GetAsyncEnumerator();
        Assert.True(await held.MoveNextAsync());
        var other = await database.CreateStoreAsync();
        await other.Store.SetAsync(["k"], "new");
        await other.DisposeAsync();
        var file = Take(test, "deleted with its log");
        File.Move(FileOf(other), file);

        await Assert.ThrowsAsync<KvCommitUnknownException>(() => test.Store.SetAsync(["lost"], 1).AsTask());

        await held.DisposeAsync();
        Assert.Equal("new", await test.Store.GetAsync<string>(["k"]));
        await test.Store.SetAsync(["found"], 1);
        var reads = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => Task.Run(() => test.Store.GetAsync<string>(["k"]).AsTask())));
        Assert.All(reads, static value => Assert.Equal("new", value));
        await using var third = await database.CreateStoreAsync(connectionString: test.ConnectionString);
        Assert.Equal([["found"], ["k"]], await third.KeysAsync());
    }

    [Fact]
    public async Task A_store_that_only_reads_finds_out_by_itself()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows keeps an open file where it is.");
        await using var test = await database.CreateStoreAsync();
        Assert.Null(await test.Store.GetAsync(["k"]));
        Take(test, "deleted with its log");

        await Assert.ThrowsAnyAsync<Exception>(() => test.Engine.Sweeper.SweepAsync(new CancellationTokenSource(TimeSpan.FromMilliseconds(200)).Token));

        Assert.Equal(KvErrorKind.Schema, (await Assert.ThrowsAsync<KvException>(() => test.Store.GetAsync(["k"]).AsTask())).Kind);
    }

    private static string FileOf(KvTestStore test) => new SqliteConnectionStringBuilder(test.ConnectionString).DataSource;

    private static string Take(KvTestStore test, string how)
    {
        var file = FileOf(test);
        switch (how)
        {
            case "moved":
                File.Move(file, file + ".moved");
                break;
            case "log deleted":
                File.Delete(file + "-wal");
                break;
            case "deleted":
                File.Delete(file);
                break;
            default:
                File.Delete(file);
                File.Delete(file + "-wal");
                File.Delete(file + "-shm");
                break;
        }

        return file;
    }

    /// <summary>A store whose sweeper has looked at the file already, and does so next when the clock is moved: a write is the first to find out.</summary>
    private async Task<KvTestStore> SweptAsync()
    {
        var test = await database.CreateStoreAsync(_time);
        await test.Store.GetAsync(["k"]);
        await _time.WhenNextTimerAsync(next => next > _time.GetUtcNow() + TimeSpan.FromSeconds(1));
        return test;
    }
}
