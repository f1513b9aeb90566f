using System.Text;
using Kv.Model;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using static Kv.Tests.ScheduleTesting;

namespace Kv.Tests.Specs;

/// <summary>Schedules that are added, changed, paused, triggered and removed while workers run.</summary>
public abstract class RuntimeScheduleSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();

    [Fact]
    public async Task A_schedule_that_one_process_adds_is_run_by_workers_that_have_nothing_of_it_in_their_code()
    {
        await using var worker = await CreateAsync();
        await using var other = await CreateAsync(beside: worker);
        await using var adding = await database.CreateStoreAsync(
            _time, connectionString: worker.ConnectionString, services: static services => services.AddKvSchedules());
        await RoundAsync(worker);

        KvScheduleOptions options = new() { Enqueue = new() { Topic = "mail", Priority = 3 } };
        Assert.True(await SchedulesOf(adding).SetAsync("digest", Minutely, new Note("a"), options));
        Assert.False(await SchedulesOf(adding).SetAsync("digest", Minutely, new Note("b"), options));
        for (var i = 0; i < 3; i++)
        {
            _time.Advance(Minute);
            await Task.WhenAll(RoundAsync(worker), RoundAsync(other));
        }

        Assert.All(await worker.QueuedAsync(), static m => Assert.Equal(("note", "mail", 3, "{\"Text\":\"b\"}"), Facts(m)));
        Assert.Equal(3, (await worker.QueuedAsync()).Count);
        var info = (await SchedulesOf(worker).FindAsync("digest"))!;
        Assert.Equal(("digest", "every 00:01:00", "note", "mail"), (info.Name, info.Definition, info.MessageName, info.Topic));
        Assert.False(info.IsPaused);
        Assert.Equal((_time.GetUtcNow(), _time.GetUtcNow() + Minute), (info.LastAt, info.NextAt));
        Assert.Empty(info.Applications);
    }

    [Fact]
    public async Task A_started_worker_runs_what_is_added_and_stops_what_is_removed_at_once()
    {
        await using var test = await CreateAsync();
        await using var stop = await StartAsync(test);
        var second = _time.GetUtcNow() + TimeSpan.FromSeconds(1);
        await _time.WhenNextTimerAsync(next => next > second);
        await SchedulesOf(test).SetAsync("often", KvSchedule.Every(TimeSpan.FromSeconds(1)), new Note("a"));

        // No look that is due later is waited for.
        await _time.WhenNextTimerAsync(next => next <= second);
        await UntilAsync(async () => (await test.QueuedAsync()).Count >= 2, () => _time.Advance(TimeSpan.FromSeconds(1)));
        Assert.True(await SchedulesOf(test).RemoveAsync("often"));
        Assert.False(await SchedulesOf(test).RemoveAsync("often"));

        var before = (await test.QueuedAsync()).Count;
        _time.Advance(Minute);
        await RoundAsync(test);
        Assert.Equal(before, (await test.QueuedAsync()).Count);
        Assert.Empty(await ListAsync(test));
    }

    [Fact]
    public async Task A_started_worker_finds_what_another_process_added_within_15_seconds()
    {
        await using var test = await CreateAsync();
        await using var other = await CreateAsync(beside: test);
        await using var stop = await StartAsync(test);
        await SchedulesOf(other).SetAsync("often", KvSchedule.Every(TimeSpan.FromSeconds(1)), new Note("a"));

        await UntilAsync(async () => (await test.QueuedAsync()).Count >= 2, () => _time.Advance(TimeSpan.FromSeconds(1)));
    }

    [Fact]
    public async Task A_changed_schedule_begins_with_its_next_tick_and_keeps_its_message()
    {
        await using var test = await CreateAsync();
        await SchedulesOf(test).SetAsync("s", KvSchedule.Every(TimeSpan.FromHours(1)), new Note("a"), new() { Missed = KvMissedTicks.All });
        await RoundAsync(test);

        Assert.True(await SchedulesOf(test).ChangeAsync("s", Minutely));
        await RoundAsync(test);
        Assert.Empty(await test.QueuedAsync());
        _time.Advance(Minute);
        await RoundAsync(test);
        _time.Advance(3 * Minute);
        await RoundAsync(test);

        Assert.Equal(4, (await test.QueuedAsync()).Count);
        Assert.All(await test.QueuedAsync(), static m => Assert.Equal("{\"Text\":\"a\"}", Encoding.UTF8.GetString(m.Data)));
        Assert.False(await SchedulesOf(test).ChangeAsync("none", Minutely));
        Assert.Single(await ListAsync(test));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_paused_schedule_has_no_messages_and_what_passed_is_not_made_up_for(bool inCode)
    {
        await using var test = await CreateAsync(inCode ? ["s"] : []);
        KvScheduleOptions all = new() { Missed = KvMissedTicks.All };
        await (inCode ? RoundAsync(test) : SchedulesOf(test).SetAsync("s", Minutely, new Note("a"), all).AsTask());
        _time.Advance(Minute);
        await RoundAsync(test);

        Assert.True(await SchedulesOf(test).PauseAsync("s"));
        _time.Advance(5 * Minute);
        await RoundAsync(test);
        await using var restarted = await CreateAsync(inCode ? ["s"] : [], beside: test);
        await RoundAsync(restarted);
        Assert.Single(await test.QueuedAsync());
        Assert.Equal((true, null), await SchedulesOf(test).FindAsync("s") is { } paused ? (paused.IsPaused, paused.NextAt) : default);

        Assert.True(await SchedulesOf(test).ResumeAsync("s"));
        await Task.WhenAll(RoundAsync(test), RoundAsync(restarted));
        Assert.Single(await test.QueuedAsync());
        _time.Advance(Minute);
        await Task.WhenAll(RoundAsync(test), RoundAsync(restarted));
        Assert.Equal(2, (await test.QueuedAsync()).Count);
        Assert.False(await SchedulesOf(test).PauseAsync("none"));
        Assert.False(await SchedulesOf(test).ResumeAsync("none"));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task A_triggered_schedule_has_one_message_more_and_its_ticks_as_before(bool inCode, bool isPaused)
    {
        await using var test = await CreateAsync(inCode ? ["s"] : []);
        await using var asking = await CreateAsync(beside: test);
        await (inCode ? RoundAsync(test) : SchedulesOf(test).SetAsync("s", Minutely, new Note("a")).AsTask());
        if (isPaused)
        {
            await SchedulesOf(asking).PauseAsync("s");
        }

        Assert.True(await SchedulesOf(asking).TriggerAsync("s"));
        Assert.True(await SchedulesOf(asking).TriggerAsync("s"));
        Assert.Equal(2, (await SchedulesOf(asking).FindAsync("s"))!.PendingTriggers);
        await RoundAsync(test);
        Assert.Equal(2, (await test.QueuedAsync()).Count);
        Assert.Equal(0, (await SchedulesOf(asking).FindAsync("s"))!.PendingTriggers);
        _time.Advance(Minute);
        await RoundAsync(test);

        Assert.Equal(isPaused ? 2 : 3, (await test.QueuedAsync()).Count);
        Assert.False(await SchedulesOf(asking).TriggerAsync("none"));
    }

    [Theory]
    [InlineData(KvFault.CutCommit)]
    [InlineData(KvFault.CutAnswer)]
    public async Task A_trigger_whose_commit_was_interrupted_is_enqueued_once(KvFault fault)
    {
        await using var test = await CreateAsync();
        await SchedulesOf(test).SetAsync("s", KvSchedule.Cron("@yearly"), new Note("a"));
        await SchedulesOf(test).TriggerAsync("s");
        test.Faults.FailNext(fault);

        await RoundAsync(test);
        await RoundAsync(test);

        Assert.Equal(1, test.Faults.CountFailed(fault));
        Assert.Single(await test.QueuedAsync());
    }

    [Fact]
    public async Task Triggers_that_no_worker_carries_out_are_refused_at_last()
    {
        await using var test = await CreateAsync();
        await SchedulesOf(test).SetAsync("s", Minutely, new Note("a"));
        for (var i = 0; i < 100; i++)
        {
            await SchedulesOf(test).TriggerAsync("s");
        }

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => SchedulesOf(test).TriggerAsync("s").AsTask());

        Assert.Contains("'s' was triggered 100 times", error.Message, StringComparison.Ordinal);
        await RoundAsync(test);
        Assert.Equal(100, (await test.QueuedAsync()).Count);
    }

    [Fact]
    public async Task A_schedule_that_cannot_run_here_is_named_and_others_go_on()
    {
        await using var test = await CreateAsync();
        var berlin = TimeZoneInfo.FindSystemTimeZoneById("Europe/Berlin");
        await SchedulesOf(test).SetAsync("bad", KvSchedule.Cron("* * * * *", berlin), new Note("a"));
        await SchedulesOf(test).SetAsync("good", Minutely, new Note("b"));
        var entry = (await test.Store.GetAsync(["efkv", "schedules", "bad"]))!;
        var text = Encoding.UTF8.GetString(entry.Value.Bytes.Span).Replace("Europe/Berlin", "Europe/Atlantis", StringComparison.Ordinal);
        await test.Store.SetAsync(entry.Key, new KvValue(Encoding.UTF8.GetBytes(text), entry.Value.Encoding));
        await test.Store.SetAsync(["efkv", "schedules", "worse"], new KvValue([1, 2], KvEncoding.Bytes));

        await RoundAsync(test);
        _time.Advance(Minute);
        await RoundAsync(test);

        Assert.Single(await test.QueuedAsync());
        Assert.All(_logs.Entries.Where(static e => e.Event == 350), static e => Assert.Contains("'bad'", e.Text, StringComparison.Ordinal));
        Assert.Contains(_logs.Entries, static e => e.Event == 350);
    }

    [Theory]
    [InlineData("not json")]
    [InlineData("{}")]
    [InlineData("{\"Definition\":\"x\",\"Next\":1,\"Last\":9223372036854775807}")]
    [InlineData("{\"Definition\":\"x\",\"Next\":1,\"Triggered\":[-9223372036854775808]}")]
    public async Task An_entry_that_is_no_schedule_harms_no_other_and_is_not_listed(string text)
    {
        await using var test = await CreateAsync(["code"]);
        await SchedulesOf(test).SetAsync("good", Minutely, new Note("a"));
        KvKey schedules = ["efkv", "schedules"];
        var undecodable = KvKey.FromStored([.. schedules.Bytes, 0xEE]);
        foreach (var key in (KvKey[])[schedules.Append("bad"), schedules.Append(7L), schedules.Append("a", "b"), undecodable])
        {
            await test.Store.SetAsync(key, new KvValue(Encoding.UTF8.GetBytes(text), KvEncoding.Json));
        }

        await RoundAsync(test);
        _time.Advance(Minute);
        await RoundAsync(test);

        Assert.Equal(["note", "tick"], (await test.QueuedAsync()).Select(static m => m.Type).Order());
        Assert.Equal(["code", "good"], await ListAsync(test));
        Assert.False(await SchedulesOf(test).PauseAsync("bad"));
        Assert.Null(await SchedulesOf(test).FindAsync("bad"));
    }

    [Fact]
    public async Task Changes_and_ticks_of_many_processes_at_once_lose_nothing()
    {
        await using var first = await CreateAsync();
        await using var second = await CreateAsync(beside: first);
        await using var third = await CreateAsync(beside: first);
        KvTestStore[] all = [first, second, third];
        await SchedulesOf(first).SetAsync("s", Minutely, new Note("a"), new() { Missed = KvMissedTicks.All });

        for (var i = 0; i < 10; i++)
        {
            _time.Advance(Minute);
            await Task.WhenAll(all.Select(RoundAsync).Concat(all.Select(test => SchedulesOf(test).TriggerAsync("s").AsTask())));
        }

        await RoundAsync(first);
        Assert.Equal(10 + 30, (await first.QueuedAsync()).Count);
    }

    [Fact]
    public async Task What_cannot_be_is_refused_before_anything_is_written()
    {
        await using var test = await CreateAsync();
        KvEnqueueOptions due = new() { DueAt = _time.GetUtcNow() };
        KvEnqueueOptions refusing = new() { UniqueKey = "u", IfDuplicate = KvDuplicatePolicy.Refuse };

        Assert.Contains("name", await RefusalAsync("", new Note("a")), StringComparison.Ordinal);
        Assert.Contains("Its ticks say", await RefusalAsync("s", new Note("a"), due), StringComparison.Ordinal);
        Assert.Contains("Keep", await RefusalAsync("s", new Note("a"), refusing), StringComparison.Ordinal);
        Assert.Contains("'s' takes", await RefusalAsync("s", new Note(new string('a', 900_000))), StringComparison.Ordinal);
        await RefusalAsync("s", new object());
        await Assert.ThrowsAsync<ArgumentException>(() => SchedulesOf(test).PauseAsync("a\0").AsTask());
        await Assert.ThrowsAsync<ArgumentNullException>(() => SchedulesOf(test).SetAsync("s", null!, new Note("a")).AsTask());
        Assert.Empty(await ListAsync(test));

        async Task<string> RefusalAsync<T>(string name, T message, KvEnqueueOptions? options = null)
            where T : notnull =>
            (await Assert.ThrowsAsync<ArgumentException>(
                () => SchedulesOf(test).SetAsync(name, Minutely, message, new() { Enqueue = options }).AsTask())).Message;
    }

    [Fact]
    public async Task What_is_stored_of_a_schedule_is_read_by_later_versions()
    {
        await using var test = await CreateAsync();

        // As the first version with such schedules wrote it.
        const string Stored = """
            {"Timing":{"Cron":"* * * * *","Zone":"UTC"},"Missed":2,"Message":{"Id":"","Priority":1,"UniqueFor":0,"TopicRetries":true,
            "Data":"eyJUZXh0IjoiYSJ9","Encoding":1,"Topic":"mail","Type":"note","Backoff":"[100]","Undelivered":"[]"},"Changed":7,
            "Definition":"* * * * * UTC","Next":1767225660000}
            """;
        await test.Store.SetAsync(["efkv", "schedules", "s"], new KvValue(Encoding.UTF8.GetBytes(Stored), KvEncoding.Json));
        await RoundAsync(test);
        _time.Advance(3 * Minute);
        await RoundAsync(test);

        Assert.Equal(3, (await test.QueuedAsync()).Count);
        Assert.All(await test.QueuedAsync(), static m => Assert.Equal(("note", "mail", 1, "{\"Text\":\"a\"}"), Facts(m)));
    }

    private Task<KvTestStore> CreateAsync(string[]? inCode = null, KvTestStore? beside = null) =>
        database.CreateSchedulesAsync(_time, _logs, inCode, beside: beside);

    private static (string Type, string Topic, int Priority, string Data) Facts(QueuedMessage message) =>
        (message.Type, message.Topic, message.Priority, Encoding.UTF8.GetString(message.Data));

    private static async Task<IAsyncDisposable> StartAsync(KvTestStore test)
    {
        var scheduler = Scheduler(test);
        await scheduler.StartAsync(CancellationToken.None);
        return new Stop(scheduler);
    }

    private static async Task UntilAsync(Func<Task<bool>> done, Action step)
    {
        using var patience = new CancellationTokenSource(WorkerTesting.Patience);
        while (!await done())
        {
            patience.Token.ThrowIfCancellationRequested();
            step();
            await Task.Yield();
        }
    }

    private sealed class Stop(IHostedService service) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync() => await service.StopAsync(CancellationToken.None);
    }
}

public sealed class SqliteRuntimeScheduleTests(SqliteDatabase database) : RuntimeScheduleSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresRuntimeScheduleTests(PostgresDatabase database)
    : RuntimeScheduleSpec(database), IClassFixture<PostgresDatabase>;
