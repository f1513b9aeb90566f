using System.Collections.Concurrent;
using System.Diagnostics;
using Kv.Benchmarks.Systems;

namespace Kv.Benchmarks;

/// <summary>The questions to a queue and its worker in one process.</summary>
public sealed class QueueLoad(QueueSystem queue, Settings settings) : IAsyncDisposable
{
    private const int Loaded = 500;
    private const int WarmUpMessages = 5_000;
    private readonly ConcurrentDictionary<long, TaskCompletionSource> _inFlight = [];
    private long _last;

    public static bool Knows(string operation) => operation is "enqueue" or "drain" or "steady" or "latency" or "loaded";

    public async Task<Result> RunAsync(Case @case)
    {
        await queue.SetUpAsync();
        return @case.Operation switch
        {
            "enqueue" => await EnqueueAsync(@case.In.Callers),
            "drain" => await DrainAsync(@case.In.Messages, @case.In.Waiting),
            "loaded" => await LoadedAsync(),
            _ => await RoundTripsAsync(@case.In.Callers),
        };
    }

    public ValueTask DisposeAsync() => queue.DisposeAsync();

    private async Task<Result> EnqueueAsync(int callers)
    {
        await queue.OpenAsync();
        var result = await Load.RunAsync(random => queue.EnqueueAsync(random.Next()), callers, settings);
        await queue.CloseAsync();
        return result;
    }

    /// <summary>Each caller enqueues and waits until its message is handled: alone that is the latency of an idle queue, by many the throughput of a busy one.</summary>
    private async Task<Result> RoundTripsAsync(int callers)
    {
        await queue.OpenAsync();
        await queue.StartAsync(HandleAsync);
        var result = await Load.RunAsync(_ => RoundTripAsync(), callers, settings);
        await queue.CloseAsync();
        return result;
    }

    /// <summary>Latency while so many messages a second come in, whether they keep up or not.</summary>
    private async Task<Result> LoadedAsync()
    {
        await queue.OpenAsync();
        await queue.StartAsync(HandleAsync);
        await Load.WarmUpAsync(_ => RoundTripAsync(), callers: 1, settings);
        var latencies = new Latencies();
        var sent = new List<Task>();
        var started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started) < settings.Time)
        {
            if (sent.Count < Stopwatch.GetElapsedTime(started).TotalSeconds * Loaded)
            {
                sent.Add(Task.Run(async () =>
                {
                    var began = Stopwatch.GetTimestamp();
                    await RoundTripAsync();
                    var took = Stopwatch.GetElapsedTime(began);
                    lock (latencies)
                    {
                        latencies.Add(took);
                    }
                }));
            }
            else
            {
                await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System);
            }
        }

        await Task.WhenAll(sent);
        var result = Result.Of(latencies, sent.Count / Stopwatch.GetElapsedTime(started).TotalSeconds);
        await queue.CloseAsync();
        return result;
    }

    private async Task<Result> DrainAsync(int messages, int waiting)
    {
        await queue.OpenAsync();
        var started = Stopwatch.GetTimestamp();
        do
        {
            await HandleAllAsync(Math.Min(messages, WarmUpMessages));
        }
        while (Stopwatch.GetElapsedTime(started) < settings.WarmUp);
        await Task.Delay(settings.Rest, TimeProvider.System);
        if (waiting > 0)
        {
            await queue.WaitingAsync(waiting);
        }

        var result = await HandleAllAsync(messages);
        await queue.CloseAsync();
        return result;
    }

    // From the first message on: how long a worker takes to start is another question.
    private async Task<Result> HandleAllAsync(int messages)
    {
        await queue.FillAsync(messages);
        var allocated = GC.GetTotalAllocatedBytes(precise: true);
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var (handled, first) = (0, 0L);
        await queue.StartAsync(_ =>
        {
            var now = Interlocked.Increment(ref handled);
            if (now == 1)
            {
                Volatile.Write(ref first, Stopwatch.GetTimestamp());
            }
            else if (now == messages)
            {
                all.SetResult();
            }

            return Task.CompletedTask;
        });
        await all.Task.WaitAsync(TimeSpan.FromMinutes(5));
        var elapsed = Stopwatch.GetElapsedTime(Volatile.Read(ref first));
        allocated = GC.GetTotalAllocatedBytes(precise: true) - allocated;
        await queue.StopAsync();
        return new Result(Math.Round((messages - 1) / elapsed.TotalSeconds, 1), 0, 0, Math.Round((double)allocated / messages));
    }

    private async ValueTask RoundTripAsync()
    {
        var message = Interlocked.Increment(ref _last);
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
}
