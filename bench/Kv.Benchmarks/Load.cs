using System.Diagnostics;

namespace Kv.Benchmarks;

/// <summary>Runs an operation by some callers at once for some time, and measures each.</summary>
public static class Load
{
    public static async Task<(double PerSecond, double Median, double Slowest, double Allocated)> RunAsync(
        Func<Random, Task> operation, int callers, TimeSpan time)
    {
        await RunAsync(operation, callers, time / 4, []);
        List<double> latencies = [];
        var allocated = GC.GetTotalAllocatedBytes(precise: true);
        var started = Stopwatch.GetTimestamp();
        await RunAsync(operation, callers, time, latencies);
        var elapsed = Stopwatch.GetElapsedTime(started);
        allocated = GC.GetTotalAllocatedBytes(precise: true) - allocated;
        latencies.Sort();
        return (
            latencies.Count / elapsed.TotalSeconds,
            latencies[latencies.Count / 2],
            latencies[(int)(latencies.Count * 0.99)],
            (double)allocated / latencies.Count);
    }

    private static Task RunAsync(Func<Random, Task> operation, int callers, TimeSpan time, List<double> latencies)
    {
        var end = Stopwatch.GetTimestamp() + (long)(time.TotalSeconds * Stopwatch.Frequency);
        return Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(async () =>
        {
            var random = new Random(caller);
            var own = new List<double>(1 << 12);
            do
            {
                var began = Stopwatch.GetTimestamp();
                await operation(random);
                own.Add(Stopwatch.GetElapsedTime(began).TotalMicroseconds);
            }
            while (Stopwatch.GetTimestamp() < end);

            lock (latencies)
            {
                latencies.AddRange(own);
            }
        })));
    }
}
