namespace Kv.Connections;

/// <summary>What the calls of this process have met, for the health check: a look at the database need not meet it.</summary>
internal sealed class StoreHealth(TimeProvider time)
{
    private volatile Failure? _writes;
    private static readonly TimeSpan Remembered = TimeSpan.FromDays(1);
    private volatile Exception? _damage;
    private volatile Regress? _regress;

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

    /// <summary>How the database went back to an earlier state, within the last day; null if it did not.</summary>
    public Regress? WentBackTo => _regress is { } regress && time.GetElapsedTime(regress.At) < Remembered ? regress : null;

    /// <summary>The database went back to an earlier state.</summary>
    /// <param name="known">The version that this process has seen committed.</param>
    /// <param name="found">The one that the database has.</param>
    /// <param name="lacksOwn">Whether a commit is missing that this process was told of.</param>
    /// <returns>What there is to say of it.</returns>
    public string WentBack(long known, long found, bool lacksOwn)
    {
        var what = found < known
            ? $"this process has seen version {known} committed, and the database has version {found}"
                + (lacksOwn ? ", without commits that callers of this process were told of" : "")
            : "commits that callers of this process were told of are not in it "
                + $"(it has version {found}, and this process has seen {known})";
        var text = $"The database has gone back to an earlier state: {what}. What was committed since is lost, entries and messages, as "
            + "after a failover to a standby that had not received it, a backup that was restored, or a crash before a "
            + "KvDurability.Relaxed write was on the disk. The store goes on from what is there, with new versions. Compare it with what "
            + "the application has told its callers and other systems; with the standby in synchronous_standby_names, no full commit is "
            + "answered before it is safe there.";
        _regress = new Regress(text, known, found, time.GetTimestamp());
        return text;
    }

    /// <param name="Text">What there is to say of it.</param>
    /// <param name="Known">The version that this process had seen.</param>
    /// <param name="Found">The one that the database had.</param>
    /// <param name="At">When it was noticed, as the store's clock counts.</param>
    public sealed record Regress(string Text, long Known, long Found, long At);

    /// <param name="Error">The last error.</param>
    /// <param name="Since">When the first write failed, as the store's clock counts.</param>
    /// <param name="At">When the last one failed.</param>
    public sealed record Failure(Exception Error, long Since, long At);
}
