using System.Globalization;
using System.Text;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>A follower that is killed and resumed at random ends with exactly the state, and has been told of each commit once.</summary>
/// <remarks><c>EFKV_TEST_CHANGES</c> says how many commits the writers make together: 4,000 where it is not set.</remarks>
public abstract class FollowerKillSpec(KvDatabase database) : IDisposable
{
    private const int Writers = 2;
    private static readonly string[] Follower = ["follower"];
    private readonly string _folder = Directory.CreateTempSubdirectory("efkv-changes-").FullName;

    private static int Commits =>
        int.Parse(Environment.GetEnvironmentVariable("EFKV_TEST_CHANGES") ?? "4000", CultureInfo.InvariantCulture);

    private string Told => Path.Combine(_folder, "told");

    private long Length => File.Exists(Told) ? new FileInfo(Told).Length : 0;

    public void Dispose()
    {
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }

    [Fact]
    public async Task It_ends_with_the_state_that_sixteen_writers_in_two_processes_left()
    {
        await using var test = await database.CreateStoreAsync();
        var start = (await test.Services.GetRequiredService<IKvChanges>().EnableAsync()).Oldest!.Value;
        var writers = Enumerable.Range(0, Writers).Select(_ => Start(
            test, ["changer", (Commits / Writers).ToString(CultureInfo.InvariantCulture)], ("EFKV_CALLERS", "8"))).ToArray();
        var writing = Task.WhenAll(writers.Select(static writer => writer.EndAsync()));
        var kills = 0;
        while (!writing.IsCompleted || kills == 0)
        {
            using var follower = Start(test, Follower, ("EFKV_ACK", Told), ("EFKV_AFTER", $"{start}"));
            var until = Length + Random.Shared.Next(1, Commits);
            var written = follower.WrittenAsync(Told, () => Length >= until);
            await Task.WhenAny(written, writing);
            follower.Kill();
            await follower.EndAsync();
            await written.ContinueWith(static _ => { }, TaskScheduler.Default);
            kills++;
        }

        Assert.All(await writing, static end => Assert.Equal((0, ""), (end.ExitCode, end.Errors.Trim())));
        Assert.All(writers, static writer => writer.Dispose());
        await UntilNothingExpiresAsync(test);
        var last = await test.Store.SetAsync(["c", -1], -1L);
        using (var follower = Start(test, Follower, ("EFKV_ACK", Told), ("EFKV_AFTER", $"{start}")))
        {
            await follower.WrittenAsync(Told, () => End() is [.., '\n'] end && end.Contains($"{last}\t-1=-1", StringComparison.Ordinal));
        }

        // Exactly what the feed tells from its beginning on, in that order: nothing twice and nothing left out, in spite of the kills.
        var lines = (await File.ReadAllLinesAsync(Told)).ToList();
        var told = lines.ConvertAll(static line => (StampOf(line), Text(Changes(line).Select(static c => (c.Key, c.IsDeleted)))));
        List<(KvVersionstamp, string)> whole = [];
        await foreach (var set in test.Store.ChangesAsync(start, KvRange.Prefix(["c"])))
        {
            whole.Add((set.Versionstamp, Text(set.Changes.Select(static c => (c.Key[1].AsInt64(), c.IsDeleted)))));
            if (set.Versionstamp == last)
            {
                break;
            }
        }

        Assert.Equal(whole, told);
        Assert.Equal(told.Select(static t => t.Item1).Order().Distinct(), told.Select(static t => t.Item1));

        var state = new SortedDictionary<long, string>();
        foreach (var (key, isDeleted, value) in lines.SelectMany(Changes))
        {
            state[key] = value;
            if (isDeleted)
            {
                state.Remove(key);
            }
        }

        Assert.Equal(
            await test.Store.ListAsync(KvRange.Prefix(["c"])).Select(static e => $"{e.Key[1].AsInt64()}={e.As<long>()}").ToListAsync(),
            state.Select(static s => $"{s.Key}={s.Value}"));
        TestContext.Current.TestOutputHelper?.WriteLine($"{Commits} commits, {lines.Count} sets of changes, {kills} kills");
    }

    private ChaosProcess Start(KvTestStore test, string[] arguments, params ReadOnlySpan<(string Name, string Value)> variables) =>
        ChaosProcess.Start(database, test.ConnectionString, arguments, variables);

    private static async Task UntilNothingExpiresAsync(KvTestStore test)
    {
        while (true)
        {
            await test.Engine().Sweeper.DeleteAsync(default);
            await using var context = test.CreateContext();
            if (!await context.Entries.AnyAsync(static e => e.ExpiresAt >= 0))
            {
                return;
            }
        }
    }

    private static KvVersionstamp StampOf(string line) => KvVersionstamp.Parse(line.Split('\t')[0]);

    private static string Text(IEnumerable<(long Key, bool IsDeleted)> changes) =>
        string.Join(' ', changes.Select(static c => $"{c.Key}{(c.IsDeleted ? "-" : "=")}"));

    private static IEnumerable<(long Key, bool IsDeleted, string Value)> Changes(string line) => line.Split('\t').Skip(1).Select(
        static change => change[^1] == '-'
            ? (long.Parse(change[..^1], CultureInfo.InvariantCulture), true, "")
            : (long.Parse(change.Split('=')[0], CultureInfo.InvariantCulture), false, change.Split('=')[1]));

    private string End()
    {
        using var file = new FileStream(Told, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        file.Position = Math.Max(0, file.Length - 10_000);
        using var reader = new StreamReader(file, Encoding.ASCII);
        return reader.ReadToEnd();
    }
}

public sealed class SqliteFollowerKillTests(SqliteDatabase database) : FollowerKillSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresFollowerKillTests(PostgresDatabase database) : FollowerKillSpec(database), IClassFixture<PostgresDatabase>;
