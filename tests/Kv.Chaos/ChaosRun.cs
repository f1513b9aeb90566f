using System.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Chaos;

/// <summary>Many workers under load while things break; then what is left is looked at.</summary>
internal static class ChaosRun
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan LongestStandstill = TimeSpan.FromSeconds(60);

    public static async Task<int> RunAsync(ChaosOptions options)
    {
        var folder = Directory.CreateTempSubdirectory("efkv-chaos-").FullName;
        Console.WriteLine($"{options.Provider}: {options.Messages:N0} messages in {options.Duration.TotalSeconds:0} s, {options.Workers} workers, {options.Kills} kills, seed {options.Seed}");
        await using var database = await ChaosDatabase.CreateAsync(options.Provider, folder);
        await using var services = new ServiceCollection().AddKvStore(database.Configure).BuildServiceProvider();
        await services.MigrateKvStoreAsync();
        var store = services.GetRequiredService<IKvStore>();
        var workers = Enumerable.Range(0, options.Workers).Select(place => new WorkerProcess(place, database, options, folder)).ToList();
        try
        {
            var started = Stopwatch.GetTimestamp();
            var producers = new Producers(store, options);
            var faults = new Faults(database, workers, options);
            var producing = producers.RunAsync();
            foreach (var worker in workers)
            {
                worker.Start();
            }

            await Task.WhenAll(workers.Select(static w => w.Ready));
            await Task.WhenAll(producing, faults.RunAsync(CancellationToken.None));
            var calm = Stopwatch.GetElapsedTime(started);
            var left = await DrainAsync(services);
            var all = Stopwatch.GetElapsedTime(started);
            var growth = workers.Max(static w => w.Memory() - w.MemoryAfterStart) / (1024.0 * 1024);
            var exits = await Task.WhenAll(workers.Select(static w => w.StopAsync()));

            foreach (var kind in faults.Made.GroupBy(static f => f.Kind))
            {
                Print($"fault: {kind.Key}", kind.Count());
            }

            Print("messages enqueued", producers.Enqueued.Count);
            Print("enqueues that were refused for now, and repeated", producers.Retries);
            Print("enqueues of unknown outcome, resolved", producers.Resolved);
            Console.WriteLine($"faults and load for {calm.TotalSeconds:0.0} s, drained after {all.TotalSeconds:0.0} s; memory of a worker grew by up to {growth:0} MB");
            var findings = new Findings(store, producers, faults.Made, options.Lease, Path.Combine(folder, "sink"));
            await findings.LookAsync();
            List<string> violations = [.. findings.Violations];
            await using (var context = await services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContextAsync())
            {
                foreach (var message in await context.QueuedMessages.AsNoTracking().Take(10).ToListAsync())
                {
                    violations.Add($"Waits: {message.Id} {message.State} due at {message.DueAt}, attempt {message.Attempt}, {message.Crashes} crashes, {System.Text.Encoding.UTF8.GetString(message.Data)}");
                }

                foreach (var message in await context.RunningMessages.AsNoTracking().Take(10).ToListAsync())
                {
                    violations.Add($"Runs: {message.Id} until {message.Deadline} by {message.Owner}, attempt {message.Attempt}, {message.Crashes} crashes, {System.Text.Encoding.UTF8.GetString(message.Data)}");
                }
            }

            if (left > 0)
            {
                violations.Add($"{left} messages are still in the queue, and nothing moves.");
            }

            violations.AddRange(workers.SelectMany(static w => w.Died).Select(static died => $"A worker ended by itself: {died}."));
            if (exits.Any(static code => code != 0))
            {
                violations.Add($"Workers that were asked to stop ended with {string.Join(", ", exits)}.");
            }

            if (violations.Count > 0)
            {
                Console.WriteLine($"VIOLATED (seed {options.Seed}; what the workers wrote is in {folder}):\n{string.Join('\n', violations)}");
                return 1;
            }
        }
        finally
        {
            foreach (var worker in workers)
            {
                await worker.DisposeAsync();
            }
        }

        Console.WriteLine($"Everything held. (seed {options.Seed})");
        Directory.Delete(folder, recursive: true);
        return 0;
    }

    /// <summary>A line of the table.</summary>
    public static void Print(string what, long count) => Console.WriteLine($"{what,-60} {count,12:N0}");

    /// <summary>Waits until the queue is empty, or stands still.</summary>
    /// <returns>How many messages are left.</returns>
    private static async Task<long> DrainAsync(ServiceProvider services)
    {
        var contexts = services.GetRequiredService<IDbContextFactory<KvDbContext>>();
        var (least, moved) = (long.MaxValue, Stopwatch.GetTimestamp());
        while (true)
        {
            try
            {
                await using var context = await contexts.CreateDbContextAsync();

                // In one statement, which is one snapshot: a message that moves between the tables would be in neither of two.
                var left = await context.QueuedMessages.Select(static m => m.Id).Concat(context.RunningMessages.Select(static m => m.Id)).LongCountAsync();
                if (left < least)
                {
                    (least, moved) = (left, Stopwatch.GetTimestamp());
                }

                if (left == 0 || Stopwatch.GetElapsedTime(moved) > LongestStandstill)
                {
                    return left;
                }
            }
            catch (System.Data.Common.DbException)
            {
                // The last fault may not be over.
            }

            await Task.Delay(Tick, TimeProvider.System);
        }
    }
}
