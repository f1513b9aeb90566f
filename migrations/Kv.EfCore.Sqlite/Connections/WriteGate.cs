namespace Kv.Sqlite;

/// <summary>Lets one writer at a time through, of those in this process that share a single write lock: first come, first served.</summary>
/// <remarks>
/// SQLite's lock knows no queue. A pipeline that commits group after group leaves it free for microseconds, so the heartbeat, which can only
/// look again and again, would not meet it before its leases ended (measured: four writers, a lease of a second, lost).
/// </remarks>
internal sealed class WriteGate(SharedReadLock readLock)
{
    private readonly Lock _gate = new();
    private readonly LinkedList<TaskCompletionSource> _waiting = [];
    private bool _taken;

    /// <summary>Waits until the gate is free.</summary>
    public Task EnterAsync() => Enter() is { } waiter ? waiter.Value.Task : Task.CompletedTask;

    /// <summary>Waits on the calling thread until the gate is free.</summary>
    /// <returns>Whether it was free in time.</returns>
    public bool TryEnter(TimeSpan longest)
    {
        if (Enter() is not { } waiter || waiter.Value.Task.Wait(longest))
        {
            return true;
        }

        lock (_gate)
        {
            // No longer in line: the gate was handed on between the two.
            if (waiter.List is null)
            {
                return true;
            }

            _waiting.Remove(waiter);
            return false;
        }
    }

    /// <summary>Hands the gate on.</summary>
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
