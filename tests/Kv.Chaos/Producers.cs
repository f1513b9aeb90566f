using System.Collections.Concurrent;
using System.Diagnostics;

namespace Kv.Chaos;

/// <summary>Enqueues the load, and knows for sure what got in.</summary>
internal sealed class Producers(IKvStore store, ChaosOptions options)
{
    private const int Callers = 256;
    private const int GroupsOfCaller = 2;
    private const int Rivals = 3;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(50);
    private readonly ConcurrentDictionary<string, long> _sequences = new(StringComparer.Ordinal);
    private long _retries;
    private long _resolved;

    /// <summary>Everything whose enqueueing was answered.</summary>
    public ConcurrentDictionary<string, ChaosMessage> Enqueued { get; } = new(StringComparer.Ordinal);

    public long Retries => _retries;

    public long Resolved => _resolved;

    /// <summary>Spreads the messages over the time of the run: a fifth at once, the others evenly.</summary>
    public Task RunAsync() => Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(() => CallAsync(caller))));

    private async Task CallAsync(int caller)
    {
        var started = Stopwatch.GetTimestamp();
        var share = (options.Messages + Callers - 1) / Callers;
        var batch = Math.Max(1, share / 500);
        for (var done = 0; done < share; done += batch)
        {
            var due = options.Duration * 0.9 * (((double)done / share) - 0.2) - Stopwatch.GetElapsedTime(started);
            if (due > TimeSpan.Zero)
            {
                await Task.Delay(due, TimeProvider.System);
            }

            await EnqueueAsync([.. Enumerable.Range(done, Math.Min(batch, share - done)).Select(i => Message(caller, i))]);
        }
    }

    private static ChaosMessage Message(int caller, int i) => (i % 10) switch
    {
        0 => new($"d{caller}.{i}", ChaosKind.Dead),
        1 => new($"f{caller}.{i}", ChaosKind.Flaky),

        // A caller has its groups for itself, so that it knows the order in which it enqueued.
        2 or 3 or 4 => new($"g{caller}.{i}", i % 50 == 2 ? ChaosKind.Flaky : ChaosKind.Plain, $"{caller}.{i / 10 % GroupsOfCaller}"),

        // The same ones as some other callers enqueue.
        5 => new($"u{caller / Rivals}.{i}", ChaosKind.Unique),
        _ => new($"p{caller}.{i}", ChaosKind.Plain),
    };

    private async Task EnqueueAsync(List<ChaosMessage> messages)
    {
        messages = messages.ConvertAll(m => m.Key is null ? m : m with { Sequence = _sequences.AddOrUpdate(m.Key, 1, static (_, last) => last + 1) });
        await CommitAsync(messages);
        foreach (var message in messages)
        {
            Enqueued[message.Id] = message;
        }
    }

    private async Task CommitAsync(List<ChaosMessage> messages)
    {
        KvOperationId? unknown = null;
        while (true)
        {
            try
            {
                if (unknown is { } operation)
                {
                    Interlocked.Increment(ref _resolved);
                    if (await store.ResolveAsync(operation) is not null)
                    {
                        return;
                    }

                    unknown = null;
                }

                var write = store.Atomic();
                foreach (var message in messages)
                {
                    write.Enqueue(message, message.Options);
                }

                await write.CommitAsync();
                return;
            }
            catch (KvCommitUnknownException error)
            {
                unknown = error.OperationId;
            }
            catch (KvException error) when (error.Kind == KvErrorKind.Unavailable)
            {
                Interlocked.Increment(ref _retries);
                await Task.Delay(Pause, TimeProvider.System);
            }
        }
    }
}
