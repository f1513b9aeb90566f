using Kv.Connections;
using Kv.Sql;

namespace Kv.Commits;

/// <summary>Numbers the commits of a writer. The number of a writer holds the time at which it was drawn, so old markers can be pruned.</summary>
internal sealed class CommitMarks(StoreClock clock)
{
    private long _drawnAt;

    /// <summary>How long a commit can be resolved. The first commit under a number deletes the marks of writers that are older.</summary>
    public static TimeSpan Lifetime { get; } = TimeSpan.FromDays(7);

    public CommitMark Current { get; private set; }

    /// <summary>The mark of the next commit. A writer takes another number each day, so that a living one never looks old.</summary>
    public void Next()
    {
        if (Current.Writer == 0 || clock.Now - _drawnAt > TimeSpan.FromDays(1).TotalMilliseconds)
        {
            Renew();
        }

        Current = Current with { Sequence = Current.Sequence + 1 };
    }

    /// <summary>Takes another number: the marker of the former one stays as it is, and so goes on telling what became of its last commit.</summary>
    public void Renew()
    {
        _drawnAt = clock.Now;
        Current = new CommitMark((_drawnAt << KvSql.WriterRandomBits) | (long)Random.Shared.Next(1 << KvSql.WriterRandomBits), 0);
    }
}
