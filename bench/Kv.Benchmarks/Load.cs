using System.Diagnostics;

namespace Kv.Benchmarks;

/// <summary>What a load amounted to.</summary>
public sealed record Result(double PerSecond, double Median, double Slowest, double? Allocated)
{
    public static Result Of(Latencies latencies, double perSecond, double? allocated = null) =>
        new(Math.Round(perSecond, 1), latencies.At(0.5), latencies.At(0.99), allocated is { } bytes ? Math.Round(bytes) : null);
}

/// <summary>Runs an operation by some callers at once for some time, and measures each; before that it runs unmeasured.</summary>
public static class Load
{
    /// <summary>What a process that measures in turns says when it waits for the next one.</summary>
    public const string Ready = "ready";

    public static async Task<Result> RunAsync(Func<Random, ValueTask> operation, int callers, Settings settings)
    {
        await WarmUpAsync(operation, callers, settings);
        var all = OneEach(callers);
        var (elapsed, allocated) = (TimeSpan.Zero, 0L);
        await foreach (var time in TurnsAsync(settings))
        {
            var before = GC.GetTotalAllocatedBytes(precise: true);
            var started = Stopwatch.GetTimestamp();
            await RunAsync(operation, all, time);
            elapsed += Stopwatch.GetElapsedTime(started);
            allocated += GC.GetTotalAllocatedBytes(precise: true) - before;
        }

        var sum = new Latencies();
        foreach (var own in all)
        {
            sum.Add(own);
        }

        return Result.Of(sum, sum.Count / elapsed.TotalSeconds, (double)allocated / sum.Count);
    }

    public static async Task WarmUpAsync(Func<Random, ValueTask> operation, int callers, Settings settings)
    {
        await RunAsync(operation, OneEach(callers), settings.WarmUp);
        await Task.Delay(settings.Rest, TimeProvider.System);
    }

    /// <summary>Once; or, in turns with other processes, whenever a line comes in, until there are no more.</summary>
    private static async IAsyncEnumerable<TimeSpan> TurnsAsync(Settings settings)
    {
        if (!settings.InTurns)
        {
            yield return settings.Time;
            yield break;
        }

        Console.WriteLine(Ready);
        while (await Console.In.ReadLineAsync() is not null)
        {
            yield return settings.Time;
            Console.WriteLine(Ready);
        }
    }

    private static Latencies[] OneEach(int callers) => [.. Enumerable.Range(0, callers).Select(static _ => new Latencies())];

    private static Task RunAsync(Func<Random, ValueTask> operation, Latencies[] callers, TimeSpan time)
    {
        var end = Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency);
        return Task.WhenAll(callers.Select((own, caller) => Task.Run(async () =>
        {
            var random = new Random();
            do
            {
                var began = Stopwatch.GetTimestamp();
                await operation(random);
                own.Add(Stopwatch.GetElapsedTime(began));
            }
            while (Stopwatch.GetTimestamp() < end);
        })));
    }
}
