namespace Kv.Sqlite;

/// <summary>Whose turn it is to write, among those in this process that share a single write lock: first come, first served.</summary>
/// <remarks>
/// SQLite's lock knows no queue. A pipeline that commits group after group leaves it free for microseconds, so the heartbeat, which can only
/// look again and again, would not meet it before its leases ended (measured: four writers, a lease of a second, lost).
/// </remarks>
internal sealed class WriteGate(SharedReadLock readLock)
{
    private readonly Lock _gate = new();
    private readonly LinkedList<TaskCompletionSource> _waiting = [];
    private bool _taken;

    /// <summary>Waits for the turn.</summary>
    public Task EnterAsync() => Enter() is { } place ? place.Value.Task : Task.CompletedTask;

    /// <summary>Waits for the turn on the calling thread.</summary>
    /// <returns>Whether it came in time.</returns>
    public bool TryEnter(TimeSpan longest)
    {
        if (Enter() is not { } place || place.Value.Task.Wait(longest))
        {
            return true;
        }

        lock (_gate)
        {
            // No longer in line: the turn came between the two.
            if (place.List is null)
            {
                return true;
            }

            _waiting.Remove(place);
            return false;
        }
    }

    /// <summary>Hands the turn on.</summary>
    public void Leave()
    {
        TaskCompletionSource? next = null;
        lock (_gate)
        {
            if (_waiting.First is { } first)
            {
                _waiting.RemoveFirst();
                next = first.Value;
            }
            else
            {
                _taken = false;
                readLock.EndWrite();
            }
        }

        next?.SetResult();
    }

    private LinkedListNode<TaskCompletionSource>? Enter()
    {
        lock (_gate)
        {
            if (!_taken)
            {
                _taken = true;
                readLock.BeginWrite();
                return null;
            }

            return _waiting.AddLast(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }
    }
}
