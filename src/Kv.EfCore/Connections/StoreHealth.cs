namespace Kv.Connections;

/// <summary>What the calls of this process have met, for the health check: a look at the database need not meet it.</summary>
internal sealed class StoreHealth(TimeProvider time)
{
    private volatile Failure? _writes;
    private volatile Exception? _damage;

    /// <summary>Why writes fail, since when, and when one failed last; null while they succeed.</summary>
    public Failure? Writes => _writes;

    /// <summary>The error that told of a damaged database; null if there was none since it was last found to be whole.</summary>
    public Exception? Damage => _damage;

    /// <summary>A write, or a try to write, failed for a reason that would have stopped others as well.</summary>
    public void WriteFailed(Exception error)
    {
        var now = time.GetTimestamp();
        _writes = new Failure(error, _writes?.Since ?? now, now);
    }

    /// <summary>A write succeeded.</summary>
    public void WriteSucceeded()
    {
        if (_writes is not null)
        {
            _writes = null;
        }
    }

    /// <summary>The database said that it is damaged.</summary>
    public void Damaged(Exception error) => _damage = error;

    /// <summary>The database was looked through and found to be whole.</summary>
    public void Whole() => _damage = null;

    /// <param name="Error">The last error.</param>
    /// <param name="Since">When the first write failed, as the store's clock counts.</param>
    /// <param name="At">When the last one failed.</param>
    public sealed record Failure(Exception Error, long Since, long At);
}
