using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Kv.Benchmarks.Systems;

namespace Kv.Benchmarks;

/// <summary>Full load of everything for a long time, in one process: does memory stay where it is?</summary>
public sealed class Soak(Settings settings)
{
    private const int Rows = 20_000;
    private const int Callers = 64;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(10);

    // What SQLite holds outside of the managed heap, page caches above all. By name: a program does not compile against this library.
    private static readonly Func<long>? SqliteMemory =
        Type.GetType("SQLitePCL.raw, SQLitePCLRaw.core")?.GetMethod("sqlite3_memory_used")?.CreateDelegate<Func<long>>();

    private readonly List<(double Minutes, double Megabytes)> _samples = [];
    private readonly ConcurrentDictionary<long, TaskCompletionSource> _inFlight = [];
    private long _operations;
    private long _messages;

    public async Task RunAsync()
    {
        var folder = Directory.CreateTempSubdirectory("efkv-soak-").FullName;
        try
        {
            await RunAsync(new Target(settings.Databases[0], folder, "soak"), new Target(settings.Databases[0], folder, "soak-queue"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
            if (settings.Databases[0] == "postgres")
            {
                await Target.DropAllAsync();
            }
        }
    }

    private async Task RunAsync(Target rows, Target messages)
    {
        await using var store = new EfKvSystem(rows);
        await store.SetUpAsync(Rows);
        await using var queue = new EfKvQueue(messages);
        await queue.SetUpAsync();
        await queue.OpenAsync();
        await queue.StartAsync(HandleAsync);

        var started = Stopwatch.GetTimestamp();
        var load = Loads(store).Append(_ => RoundTripAsync(queue)).SelectMany(operation =>
            Enumerable.Range(0, Callers / 4).Select(caller => Task.Run(() => RepeatAsync(operation, caller, started))));
        var all = Task.WhenAll(load);
        while (!all.IsCompleted)
        {
            await Task.WhenAny(all, Task.Delay(Interval, TimeProvider.System));
            Sample(Stopwatch.GetElapsedTime(started));
        }

        await all;
        Console.WriteLine(JsonSerializer.Serialize(new { rss_slope_mb_per_minute = Math.Round(Slope(), 3), samples = _samples.Count }));
    }

    private static IEnumerable<Func<Random, ValueTask>> Loads(EfKvSystem store) =>
        ((string[])["mixed", "check+set", "sum", "set10", "list100"]).Select(operation =>
            store.Operation(new Case(operation, new Circumstances("", Callers, KeyValueSystem.SmallValue, Rows))));

    // A read of SQLite ends where it began: without giving way, a few callers would keep all threads, and the others would wait for them.
    private async Task RepeatAsync(Func<Random, ValueTask> operation, int caller, long started)
    {
        var random = new Random(caller);
        while (Stopwatch.GetElapsedTime(started) < settings.SoakTime)
        {
            await operation(random);
            Interlocked.Increment(ref _operations);
            await Task.Yield();
        }
    }

    private async ValueTask RoundTripAsync(EfKvQueue queue)
    {
        var message = Interlocked.Increment(ref _messages);
        var handled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _inFlight[message] = handled;
        await queue.EnqueueAsync(message);
        await handled.Task;
    }

    private Task HandleAsync(long message)
    {
        if (_inFlight.TryRemove(message, out var handled))
        {
            handled.SetResult();
        }

        return Task.CompletedTask;
    }

    private void Sample(TimeSpan elapsed)
    {
        using var process = Process.GetCurrentProcess();
        var megabytes = process.WorkingSet64 / (double)(1 << 20);
        _samples.Add((elapsed.TotalMinutes, megabytes));
        Console.WriteLine(JsonSerializer.Serialize(new
        {
            seconds = Math.Round(elapsed.TotalSeconds),
            rss_mb = Math.Round(megabytes, 1),
            file_mb = FileMegabytes(),
            heap_mb = Math.Round(GC.GetTotalMemory(forceFullCollection: false) / (double)(1 << 20), 1),
            committed_mb = Math.Round(GC.GetGCMemoryInfo().TotalCommittedBytes / (double)(1 << 20), 1),
            sqlite_mb = settings.Databases[0] == "sqlite" && SqliteMemory is { } used ? Math.Round(used() / (double)(1 << 20), 1) : (double?)null,
            gen0 = GC.CollectionCount(0),
            gen1 = GC.CollectionCount(1),
            gen2 = GC.CollectionCount(2),
            threads = ThreadPool.ThreadCount,
            operations = Interlocked.Read(ref _operations),
            messages = Interlocked.Read(ref _messages),
        }));
    }

    /// <summary>How much of what is resident is files: code, and SQLite's shared memory. Null where the system does not tell.</summary>
    private static double? FileMegabytes()
    {
        const string Status = "/proc/self/status";
        return File.Exists(Status)
            ? Math.Round(File.ReadLines(Status).Where(static line => line.StartsWith("RssFile:", StringComparison.Ordinal) || line.StartsWith("RssShmem:", StringComparison.Ordinal))
                .Sum(static line => long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture)) / 1024.0, 1)
            : null;
    }

    // Least squares over the second half: the first is the heap finding its size.
    private double Slope()
    {
        var half = _samples[(_samples.Count / 2)..];
        var (x, y) = (half.Average(static s => s.Minutes), half.Average(static s => s.Megabytes));
        var spread = half.Sum(s => (s.Minutes - x) * (s.Minutes - x));
        return spread == 0 ? 0 : half.Sum(s => (s.Minutes - x) * (s.Megabytes - y)) / spread;
    }
}
