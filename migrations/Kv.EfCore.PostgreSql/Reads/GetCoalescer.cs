using Kv.Connections;
using Kv.Reads;

namespace Kv.PostgreSql;

/// <summary>
/// Reads of single keys on a database that is a round trip away: a few at a time go out alone, and what waits meanwhile goes out together,
/// as one statement. So the price of a round trip is shared without any timer, as writes share that of a commit.
/// </summary>
/// <remarks>
/// A read is sent after it was asked for, so it sees every commit that was answered before. Measured with 64 callers on two cores: 1 lane 4.1,
/// 2 lanes 3.7, 4 lanes 2.4 times what 64 connections read one by one; a single caller never waits for another below the number of lanes.
/// </remarks>
internal sealed class GetCoalescer(Func<byte[], ValueTask<Row?>> one, Func<IReadOnlyList<byte[]>, ValueTask<Row?[]>> many)
{
    private const int Lanes = 2;
    private const int MostAtOnce = 256;
    private readonly Lock _gate = new();
    private readonly Queue<Waiting> _waiting = new();
    private int _busy;

    public ValueTask<Row?> GetAsync(byte[] key, CancellationToken cancellationToken)
    {
        // What is sent is sent without the token: others may wait for it.
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<Row?>(cancellationToken);
        }

        Waiting waiting;
        lock (_gate)
        {
            if (_busy < Lanes)
            {
                _busy++;
                return LeadAsync(key, cancellationToken);
            }

            _waiting.Enqueue(waiting = new Waiting(key));
        }

        return new ValueTask<Row?>(cancellationToken.CanBeCanceled ? waiting.Task.WaitAsync(cancellationToken) : waiting.Task);
    }

    // A caller that leads reads its own key alone; those that came meanwhile get a task of their own.
    private async ValueTask<Row?> LeadAsync(byte[] key, CancellationToken cancellationToken)
    {
        try
        {
            if (!cancellationToken.CanBeCanceled)
            {
                return await one(key).ConfigureAwait(false);
            }

            var reading = one(key).AsTask();
            try
            {
                return await reading.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                reading.Abandon();
            }
        }
        finally
        {
            if (Next() is { } batch)
            {
                _ = Detached.RunAsync(() => DrainAsync(batch));
            }
        }
    }

    /// <summary>Reads what waits until nothing does. It never throws: every waiter gets its answer.</summary>
    private async Task DrainAsync(List<Waiting>? batch)
    {
        for (; batch is not null; batch = Next())
        {
            try
            {
                var rows = await many(batch.ConvertAll(static w => w.Key)).ConfigureAwait(false);
                for (var i = 0; i < rows.Length; i++)
                {
                    batch[i].TrySetResult(rows[i]);
                }
            }
            catch (Exception error)
            {
                foreach (var waiting in batch)
                {
                    waiting.TrySetException(error);
                    waiting.Task.Abandon();
                }
            }
        }
    }

    /// <summary>What waits; null, and the lane is free, if nothing does.</summary>
    private List<Waiting>? Next()
    {
        lock (_gate)
        {
            if (_waiting.Count == 0)
            {
                _busy--;
                return null;
            }

            List<Waiting> batch = new(Math.Min(_waiting.Count, MostAtOnce));
            while (batch.Count < MostAtOnce && _waiting.TryDequeue(out var waiting))
            {
                batch.Add(waiting);
            }

            return batch;
        }
    }

    private sealed class Waiting(byte[] key) : TaskCompletionSource<Row?>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public byte[] Key { get; } = key;
    }
}
