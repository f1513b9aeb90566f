using Kv.Schedules;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Kv.Tests;

/// <summary>Schedulers that run when the test says, and what they are told at run time.</summary>
internal static class ScheduleTesting
{
    public static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    public static readonly KvSchedule Minutely = KvSchedule.Every(Minute);

    public static IKvSchedules SchedulesOf(KvTestStore test) => test.Services.GetRequiredService<IKvSchedules>();

    public static Scheduler Scheduler(KvTestStore test) => test.Services.GetServices<IHostedService>().OfType<Scheduler>().Single();

    public static async Task<List<string>> ListAsync(KvTestStore test) =>
        await SchedulesOf(test).ListAsync().Select(static s => s.Name).ToListAsync();

    /// <summary>A worker that has schedules of some names in its code.</summary>
    public static Task<KvTestStore> CreateSchedulesAsync(
        this KvDatabase database,
        ManualTime time,
        LogCollector logs,
        string[]? inCode = null,
        string? application = null,
        KvTestStore? beside = null)
    {
        KvScheduleOptions all = new() { Missed = KvMissedTicks.All };
        return database.CreateWorkerAsync(
            worker => Array.ForEach(inCode ?? [], name => worker.Schedule(name, Minutely, static at => new Tick(at), all)),
            time,
            options => options.ApplicationName = application,
            beside,
            logs);
    }

    /// <summary>Has a scheduler do all that is due.</summary>
    public static async Task RoundAsync(KvTestStore test)
    {
        while (await Scheduler(test).RunRoundAsync(CancellationToken.None) == TimeSpan.Zero)
        {
        }
    }
}

/// <summary>The message of a schedule that is made at run time.</summary>
[KvMessage("note")]
internal sealed record Note(string Text);
