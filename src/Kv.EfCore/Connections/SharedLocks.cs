namespace Kv.Connections;

/// <summary>
/// The locks of a database that knows no queue, as the sessions of this process share them: the write gate, and the lock of readers.
/// </summary>
internal abstract class SharedLocks : IAsyncDisposable
{
    /// <summary>Waits for the write gate, where there is one; it opens for the next when the result is disposed of.</summary>
    public static async ValueTask<Passage> PassAsync(SharedLocks? locks)
    {
        if (locks is not null)
        {
            await locks.EnterAsync().ConfigureAwait(false);
        }

        return new Passage(locks);
    }

    /// <summary>Waits for the write gate: first come, first served.</summary>
    public abstract Task EnterAsync();

    /// <summary>Waits for the write gate on the calling thread.</summary>
    /// <returns>Whether it came in time.</returns>
    public abstract bool TryEnter(TimeSpan longest);

    /// <summary>Opens the write gate for the next.</summary>
    public abstract void Leave();

    /// <summary>Hears that a session has read, and may keep it to hold the lock of readers.</summary>
    /// <returns>Whether it took the session for that.</returns>
    public abstract bool Observe(Session session);

    /// <summary>Gives up what it holds on a file that is the store's no longer.</summary>
    public abstract void Renew();

    /// <inheritdoc />
    public abstract ValueTask DisposeAsync();

    /// <summary>The time in which a writer is inside of the gate.</summary>
    public readonly struct Passage(SharedLocks? locks) : IDisposable
    {
        public void Dispose() => locks?.Leave();
    }
}
