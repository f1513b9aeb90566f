using System.Threading.Channels;

namespace Kv.Connections;

/// <summary>A number of places that callers take and give back, without a lock while there are enough.</summary>
/// <remarks>
/// Readers on many threads meet in the lock of a <see cref="SemaphoreSlim"/>, which takes it twice for each. Here they are counted, and only who
/// finds no place waits, in order: below zero the count is of those who wait and were not given a place yet.
/// </remarks>
internal sealed class Places(int size)
{
    private readonly Channel<bool> _given = Channel.CreateUnbounded<bool>();
    private int _free = size;

    /// <summary>Takes a place, or waits for one.</summary>
    /// <returns>False if none became free in time.</returns>
    public ValueTask<bool> TakeAsync(TimeSpan longest, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        return Interlocked.Decrement(ref _free) >= 0 ? new(true) : WaitAsync(longest, cancellationToken);
    }

    /// <summary>Takes places away for good, before any was taken.</summary>
    public void Remove(int count) => Interlocked.Add(ref _free, -count);

    public void GiveBack()
    {
        if (Interlocked.Increment(ref _free) <= 0)
        {
            _given.Writer.TryWrite(true);
        }
    }

    private async ValueTask<bool> WaitAsync(TimeSpan longest, CancellationToken cancellationToken)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        end.CancelAfter(longest);
        try
        {
            return await _given.Reader.ReadAsync(end.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            Leave();
            cancellationToken.ThrowIfCancellationRequested();
            return false;
        }
    }

    // Who gives up leaves the count of those who wait; if there is none to leave, a place is on its way, and it goes on to the next.
    private void Leave()
    {
        for (var spin = default(SpinWait); ; spin.SpinOnce())
        {
            var free = Volatile.Read(ref _free);
            if (free < 0 && Interlocked.CompareExchange(ref _free, free + 1, free) == free)
            {
                return;
            }

            if (_given.Reader.TryRead(out _))
            {
                GiveBack();
                return;
            }
        }
    }
}
