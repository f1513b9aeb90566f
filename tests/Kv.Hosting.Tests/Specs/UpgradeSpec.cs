using System.Collections.Concurrent;
using System.Text.Json;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>What each version of the schema left behind is there after an upgrade, and is handled.</summary>
public abstract class UpgradeSpec(KvDatabase database)
{
    private static readonly string[] Migrations = ["Initial", "Expiry", "Messages", "Delivery", "Place", "Scope", "Changes_Beside_Scope"];

    private static readonly Dictionary<string, string[]> Expected = new(StringComparer.Ordinal)
    {
        ["Initial"] = ["first", "first-lapsed", "first-running"],
        ["Expiry"] = [],
        ["Messages"] = ["job-3", "job-4"],
        ["Delivery"] = ["job-10", "job-11", "job-12", "job-14"],
        ["Place"] = ["job-20"],
        ["Scope"] = ["job-30", "job-31"],
        ["Changes_Beside_Scope"] = [],
    };

    private readonly ManualTime _time = new();
    private readonly ConcurrentQueue<KvMessageContext> _handled = [];
    private readonly ConcurrentDictionary<string, string> _seen = new(StringComparer.Ordinal);

    public static TheoryData<string> From => [.. Migrations];

    [Theory]
    [MemberData(nameof(From))]
    public async Task What_a_version_left_is_there_after_an_upgrade_and_is_handled(string migration)
    {
        var level = Array.IndexOf(Migrations, migration);
        await using var test = await CreateAtAsync(migration);
        var rows = new OldRows(test, _time).Of;
        foreach (var version in Migrations.Take(level + 1))
        {
            await rows[version]();
        }

        var applied = await test.Services.MigrateKvStoreAsync();

        Assert.Equal(Migrations.Skip(level + 1), applied.Select(static id => id.Split('_', 2)[1]));
        await AssertEntriesAsync(test, level);

        // What was running when the upgrade came belongs to its worker until its lease ends.
        await test.SettleAsync();
        var ended = Expected.Take(level + 1).SelectMany(static e => e.Value).ToList();
        Assert.DoesNotContain(_handled, static context => IsInFlight(context.Id));
        await PassAsync(test, TimeSpan.FromMinutes(3));
        Assert.Equal(ended.Order(StringComparer.Ordinal), _handled.Select(static c => c.Id).Order(StringComparer.Ordinal));
        await AssertDetailsAsync(test, level);

        // What is delayed is due at its old time, and a pause ends by being resumed.
        await PassAsync(test, TimeSpan.FromMinutes(60));
        Assert.Contains(_handled, static c => c.Id == "first-delayed");
        Assert.Equal(level >= 3, _handled.Any(static c => c.Id == "job-13"));
        await test.Queue().ResumeAsync("sleeping");
        await test.SettleAsync();
        Assert.Equal(level >= 3, _handled.Any(static c => c.Id == "job-15"));
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task Each_migration_has_rows_that_it_is_upgraded_with()
    {
        await using var test = await CreateAtAsync("Initial");
        await using var context = test.CreateContext();

        Assert.Equal(context.Database.GetMigrations().Select(static id => id.Split('_', 2)[1]), Migrations);
    }

    private static bool IsInFlight(string id) =>
        id is "first-running" or "job-4" or "job-10" or "job-11" or "job-12" or "job-20" or "job-31";

    private static async Task AssertEntriesAsync(KvTestStore test, int level)
    {
        Assert.Equal(7ul, await test.Store.GetAsync<ulong>(["count"]));
        Assert.Equal("kept", await test.Store.GetAsync<string>(["text"]));
        Assert.Null(await test.Store.GetAsync(["gone"]));
        Assert.Equal(level >= 1, await test.Store.ExistsAsync(["stays"]));
        await using (var context = test.CreateContext())
        {
            Assert.Equal(level >= 1, await context.Versions.AnyAsync(static v => v.Key != 0 && v.Sequence == 9));
        }

        Assert.True(await test.Store.SetAsync(["new"], 1) > (await test.Store.GetAsync(["count"]))!.Versionstamp);
    }

    private async Task AssertDetailsAsync(KvTestStore test, int level)
    {
        if (level >= 2)
        {
            // Two failed attempts were counted, and none by the upgrade; a lease that lapses counts as no attempt.
            Assert.Equal((3, 2), (Of("job-3").Attempt, Of("job-4").Attempt));
        }

        if (level < 3)
        {
            return;
        }

        string[] group = ["job-10", "job-11", "job-12"];
        Assert.Equal(group, _handled.Select(static c => c.Id).Where(group.Contains));
        Assert.Equal("at first, 21", _seen["job-14"]);
        var kept = new KvEnqueueOptions { UniqueKey = "u", IfDuplicate = KvDuplicatePolicy.Keep };
        Assert.Equal("job-13", (await test.Store.EnqueueAsync(new Job(99), kept)).MessageId);
        Assert.Contains(await test.Queue().GetStatsAsync(), static s => s is { Topic: "sleeping", IsPaused: true, Due: 1 });
        var letter = Assert.Single(await test.DeadLettersAsync());
        Assert.Equal(("because", 16), (letter.Reason, letter.As<Job>()!.Number));
        var tick = Assert.Single(await TicksAsync(test));
        Assert.Equal(0, tick.At.Minute);
        if (level >= 5)
        {
            Assert.Equal("[\"tenant\"], ada", _seen["job-30"]);
            Assert.True(await test.Store.ExistsAsync(["tenant", "seen", "job-31"]));
        }
    }

    private KvMessageContext Of(string id) => _handled.Single(context => context.Id == id);

    private async Task<KvTestStore> CreateAtAsync(string migration)
    {
        var test = await database.CreateWorkerAsync(
            worker => worker
                .HandleTopic("", (context, token) => NoteAsync(context.Id, context, token))
                .Handle<Job>((job, context, token) => NoteAsync($"job-{job.Number}", context, token))
                .Handle<Job>((job, context, token) => NoteAsync($"job-{job.Number}", context, token), topic: "sleeping")
                .Schedule("hourly", KvSchedule.Every(TimeSpan.FromHours(1)), static at => new Tick(at)),
            _time,
            connectionString: await database.CreateEmptyAsync());
        await using var context = test.CreateContext();
        await context.GetService<IMigrator>().MigrateAsync(migration);
        return test;
    }

    private async Task NoteAsync(string id, KvMessageContext context, CancellationToken token)
    {
        Assert.Equal(context.Id, id);
        _handled.Enqueue(context);
        _seen[context.Id] = context.Scope is { } scope ? $"{scope}, {context.GroupKey}"
            : context.FirstError is { } error ? $"{error.Message}, {context.GetCheckpoint<int>()}" : "";
        if (context.Type.Length > 0)
        {
            await context.CompleteAsync(write => write.Set(["seen", context.Id], true), token);
        }
    }

    /// <summary>Lets time pass as it does for a worker that runs: with rounds and heartbeats.</summary>
    private async Task PassAsync(KvTestStore test, TimeSpan time)
    {
        for (var i = 0; i < 12; i++)
        {
            _time.Advance(time / 12);
            test.Worker().Heartbeat.Beat();
            await test.SettleAsync();
            await test.IdleAsync();
        }
    }

    private static async Task<List<Tick>> TicksAsync(KvTestStore test)
    {
        await ScheduleTesting.RoundAsync(test);

        var found = (await test.QueuedAsync()).Where(static m => m.Topic == "tick").ToList();
        await test.ExecuteAsync("delete from queue where topic = 'tick'");
        return [.. found.Select(static m => JsonSerializer.Deserialize<Tick>(m.Data, JsonSerializerOptions.Web)!)];
    }
}

public sealed class SqliteUpgradeTests(SqliteDatabase database) : UpgradeSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresUpgradeTests(PostgresDatabase database) : UpgradeSpec(database), IClassFixture<PostgresDatabase>;
