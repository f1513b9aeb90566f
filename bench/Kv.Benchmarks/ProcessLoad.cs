using System.Diagnostics;
using System.Globalization;
using Kv.Benchmarks.Systems;

namespace Kv.Benchmarks;

/// <summary>The questions to a queue that take a second process, or a clock on the wall.</summary>
public sealed class ProcessLoad(Target target, Settings settings, string system)
{
    private const int Held = 10;
    private const int Kills = 5;
    private const long Unmeasured = 0;
    private static readonly TimeSpan Short = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);

    /// <summary>Whether a question is asked of a worker that has been at work.</summary>
    public static bool Warms(string operation) => operation is "across" or "recovery";

    /// <summary>From the call of enqueue in one process to the handler in another. Ticks of <see cref="Stopwatch"/> are the machine's, not the process's.</summary>
    public async Task<Result> AcrossAsync()
    {
        await using var queue = new EfKvQueue(target);
        await queue.SetUpAsync();
        await queue.OpenAsync();
        var latencies = new Latencies();
        await queue.StartAsync(sentAt =>
        {
            if (sentAt != Unmeasured)
            {
                lock (latencies)
                {
                    latencies.Add(Stopwatch.GetElapsedTime(sentAt));
                }
            }

            return Task.CompletedTask;
        });
        using var producer = Start("produce");
        var sent = int.Parse(await producer.StandardOutput.ReadToEndAsync(), CultureInfo.InvariantCulture);
        await WaitAsync(() => latencies.Count >= sent);
        return Result.Of(latencies, sent / settings.Time.TotalSeconds);
    }

    /// <summary>The other process of <see cref="AcrossAsync"/>: a message every 20 ms, to a worker that is idle in between.</summary>
    public async Task ProduceAsync()
    {
        await using var queue = new EfKvQueue(target);
        await queue.OpenAsync();
        await SendForAsync(settings.WarmUp, static () => Unmeasured);
        Console.WriteLine(await SendForAsync(settings.Time, Stopwatch.GetTimestamp));

        async Task<int> SendForAsync(TimeSpan time, Func<long> number)
        {
            var sent = 0;
            for (var started = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(started) < time; sent++)
            {
                await queue.EnqueueAsync(number());
                await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System);
            }

            return sent;
        }
    }

    /// <summary>
    /// From the kill of a worker that holds messages, with a lease of one second, to their being handled by another that has nothing to do. Each
    /// is killed at some moment between two extensions of its leases.
    /// </summary>
    public async Task<Result> RecoveryAsync()
    {
        await using var queue = new EfKvQueue(target, Short);
        await queue.SetUpAsync();
        await queue.OpenAsync();
        var (latencies, killedAt) = (new Latencies(), 0L);
        await queue.StartAsync(_ =>
        {
            // What comes before is what a worker has not kept to itself.
            if (Interlocked.Read(ref killedAt) is > 0 and var at)
            {
                lock (latencies)
                {
                    latencies.Add(Stopwatch.GetElapsedTime(at));
                }
            }

            return Task.CompletedTask;
        });
        var moments = new Random(Kills);
        var started = Stopwatch.GetTimestamp();
        do
        {
            await KillAsync();
        }
        while (Stopwatch.GetElapsedTime(started) < settings.WarmUp);
        (latencies, started) = (new Latencies(), Stopwatch.GetTimestamp());
        for (var kill = 0; kill < Kills; kill++)
        {
            await KillAsync();
        }

        return Result.Of(latencies, latencies.Count / Stopwatch.GetElapsedTime(started).TotalSeconds);

        async Task KillAsync()
        {
            using var victim = Start("hold");
            await victim.StandardOutput.ReadLineAsync();
            var all = latencies.Count + Held;
            await Task.Delay(moments.NextDouble() * Short / 3, TimeProvider.System);
            Interlocked.Exchange(ref killedAt, Stopwatch.GetTimestamp());
            victim.Kill();
            await WaitAsync(() => latencies.Count >= all);
            Interlocked.Exchange(ref killedAt, 0);
        }
    }

    /// <summary>The other process of <see cref="RecoveryAsync"/>: it keeps messages and never ends one, until it is killed.</summary>
    public async Task HoldAsync()
    {
        await using var queue = new EfKvQueue(target, Short);
        await queue.OpenAsync();
        var held = 0;
        await queue.StartAsync(_ =>
        {
            Interlocked.Increment(ref held);
            return new TaskCompletionSource().Task;
        });

        // It takes its own messages in the commit that brings them, once it works; those before that the other one takes.
        for (int missing; (missing = Held - Volatile.Read(ref held)) > 0; await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System))
        {
            await queue.FillAsync(missing);
        }

        Console.WriteLine("held");

        // Not for ever: whoever was to kill it may have died.
        await Task.Delay(Longest, TimeProvider.System);
        Environment.Exit(1);
    }

    /// <summary>What a worker asks of the database while nothing happens, besides when something is due next.</summary>
    public async Task<Result> IdleAsync()
    {
        using var counter = new StatementCounter();
        await using var queue = new EfKvQueue(target, lease: null, counter);
        await queue.SetUpAsync();
        await queue.OpenAsync();
        var handled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await queue.StartAsync(_ =>
        {
            handled.TrySetResult();
            return Task.CompletedTask;
        });
        await queue.EnqueueAsync(1);
        await handled.Task.WaitAsync(Longest);
        if (counter.Count == 0)
        {
            throw new InvalidOperationException("The statements of the store are not seen, so an idle one cannot be told from a busy one.");
        }

        await Task.Delay(settings.WarmUp, TimeProvider.System);
        var before = counter.Count;
        var started = Stopwatch.GetTimestamp();
        await Task.Delay(settings.IdleTime, TimeProvider.System);
        return new Result(Math.Round((counter.Count - before) / Stopwatch.GetElapsedTime(started).TotalSeconds, 3), 0, 0, null);
    }

    private static async Task WaitAsync(Func<bool> done)
    {
        var started = Stopwatch.GetTimestamp();
        while (!done())
        {
            if (Stopwatch.GetElapsedTime(started) > Longest)
            {
                throw new TimeoutException("Messages are missing.");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(10), TimeProvider.System);
        }
    }

    private Process Start(string verb) => Programs.Start(Programs.Dotnet([verb, .. settings.ForProcess(system, settings.Folder, [new Case(verb, new(settings.Databases[0]))])]));
}
