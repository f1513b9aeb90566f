using Kv.Schedules;
using Kv.TestKit;
using static Kv.Tests.ScheduleTesting;

namespace Kv.Tests.Specs;

/// <summary>Schedules in the code of applications: whose they are, and when they leave the store.</summary>
public abstract class ScheduleRegistrationSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();

    [Fact]
    public async Task What_is_in_the_code_of_an_application_is_changed_there_and_not_here()
    {
        await using var test = await CreateAsync(["s"], application: "billing");
        await RoundAsync(test);

        List<string> messages = [];
        foreach (var change in (Func<Task>[])[
            () => SchedulesOf(test).SetAsync("s", Minutely, new Note("a")).AsTask(),
            () => SchedulesOf(test).ChangeAsync("s", Minutely).AsTask(),
            () => SchedulesOf(test).RemoveAsync("s").AsTask()])
        {
            messages.Add((await Assert.ThrowsAsync<InvalidOperationException>(change)).Message);
        }

        Assert.All(messages, static m => Assert.Contains("'s' is in the code of the application 'billing'", m, StringComparison.Ordinal));
        Assert.Equal(["billing"], (await SchedulesOf(test).FindAsync("s"))!.Applications);

        // Ten minutes after the last process with it, it can be removed by hand.
        _time.Advance(ScheduleWatch.LapsesAfter + Minute);
        Assert.True(await SchedulesOf(test).RemoveAsync("s"));
    }

    [Fact]
    public async Task What_was_in_the_code_is_removed_after_ten_minutes_by_a_process_of_the_same_application_alone()
    {
        await using var other = await CreateAsync(["theirs"], application: "shop");
        await using (var before = await CreateAsync(["old", "both"], "billing", other))
        {
            await RoundAsync(before);
        }

        // However long nothing ran.
        _time.Advance(TimeSpan.FromHours(5));
        await using var after = await CreateAsync(["both"], "billing", other);
        await SchedulesOf(after).SetAsync("stored", KvSchedule.Cron("@yearly"), new Note("a"));
        await RoundAsync(after);
        await RoundAsync(other);

        await PassAsync(ScheduleWatch.LapsesAfter - Minute, after, other);
        Assert.Equal(["both", "old", "stored", "theirs"], await ListAsync(after));
        await PassAsync(TimeSpan.FromMinutes(30), other);
        Assert.Equal(["both", "old", "stored", "theirs"], await ListAsync(after));
        await PassAsync(TimeSpan.FromMinutes(4), after, other);

        Assert.Equal(["both", "stored", "theirs"], await ListAsync(after));
        Assert.Contains("'old' is removed", Assert.Single(_logs.Entries, static e => e.Event == 359).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_one_live_process_has_in_its_code_is_not_removed_whatever_the_clock_says()
    {
        await using var old = await CreateAsync(["s"]);
        await using var young = await CreateAsync(beside: old);
        await RoundAsync(old);
        await RoundAsync(young);

        for (var i = 0; i < 12; i++)
        {
            // A step of an hour, and then a while in which both get on.
            _time.SetUtcNow(_time.GetUtcNow().AddHours(i % 2 == 0 ? 1 : -1));
            await RoundAsync(young);
            await PassAsync(TimeSpan.FromMinutes(4), old, young);
        }

        Assert.Equal(["s"], await ListAsync(old));
        Assert.DoesNotContain(_logs.Entries, static e => e.Event == 359);
    }

    [Fact]
    public async Task A_schedule_that_two_applications_have_stays_while_one_of_them_has_it()
    {
        await using (var first = await CreateAsync(["s"], application: "a"))
        {
            await RoundAsync(first);
            await using var second = await CreateAsync(["s"], application: "b", beside: first);
            await RoundAsync(second);
            await using var without = await CreateAsync(application: "a", beside: first);
            await PassAsync(TimeSpan.FromMinutes(15), second, without);
            Assert.Equal(["b"], (await SchedulesOf(second).FindAsync("s"))!.Applications);
        }
    }

    [Fact]
    public async Task A_name_that_the_code_of_an_application_has_is_its_own()
    {
        await using var test = await CreateAsync();
        await SchedulesOf(test).SetAsync("s", Minutely, new Note("a"));
        await RoundAsync(test);

        await using var deployed = await CreateAsync(["s"], beside: test);
        await RoundAsync(deployed);
        await RoundAsync(test);
        _time.Advance(Minute);
        await Task.WhenAll(RoundAsync(test), RoundAsync(deployed));

        Assert.Equal("tick", Assert.Single(await test.QueuedAsync()).Type);
        Assert.Single(_logs.Entries, static e => e.Event == 358);
    }

    private async Task PassAsync(TimeSpan time, params KvTestStore[] processes)
    {
        for (var passed = TimeSpan.Zero; passed < time; passed += Minute)
        {
            _time.Advance(Minute);
            foreach (var process in processes)
            {
                await RoundAsync(process);
            }
        }
    }

    private Task<KvTestStore> CreateAsync(string[]? inCode = null, string? application = null, KvTestStore? beside = null) =>
        database.CreateSchedulesAsync(_time, _logs, inCode, application, beside);
}

public sealed class SqliteScheduleRegistrationTests(SqliteDatabase database)
    : ScheduleRegistrationSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresScheduleRegistrationTests(PostgresDatabase database)
    : ScheduleRegistrationSpec(database), IClassFixture<PostgresDatabase>;
