using Kv.Changes;
using Kv.Connections;
using Kv.Sql;

namespace Kv.Commits;

/// <summary>
/// Sees whether a database that a writer was opened on has what this process was told is committed: after a failover or the restoring of a
/// backup it may not. Within one connection it cannot be lost, so it costs nothing but at the start of a connection.
/// </summary>
/// <param name="sessions">Opens connections.</param>
/// <param name="newWriter">Makes a writer on one.</param>
/// <param name="signals">What this process has seen, and what is told of a loss.</param>
/// <param name="clock">The store's clock.</param>
/// <param name="locks">The locks that writers pass.</param>
internal sealed class CommitHistory(
    SessionFactory sessions, Func<Session, CommitWriter> newWriter, CommitSignals signals, StoreClock clock, SharedLocks? locks)
{
    private CommitMark _answered;
    private SeenVersions.Era? _answeredIn;
    private SeenVersions.Era? _era;

    /// <summary>Whether the database has gone back since a writer was opened: its connection may lead to the former one.</summary>
    public bool IsOver => _era is not null && _era != signals.Seen.Current;

    /// <summary>A commit was answered, which is marked if it has writes.</summary>
    public void Answered(CommitGroup group, CommitMark mark, SeenVersions.Era era)
    {
        if (group.Writes.Count > 0)
        {
            (_answered, _answeredIn) = (mark, era);
        }
    }

    /// <summary>Opens a writer, and looks what its database has.</summary>
    /// <param name="within">How long that may take.</param>
    public async ValueTask<CommitWriter> OpenAsync(TimeSpan within)
    {
        var (before, highest) = (signals.Seen.Current.Seen, signals.Seen.Highest);
        var writer = newWriter(await sessions.OpenAsync(SessionRole.Write, CancellationToken.None, within).ConfigureAwait(false));
        try
        {
            // The first one of a process has nothing to compare.
            if (highest > 0 || _answered.Writer != 0)
            {
                await CompareAsync(writer, before, highest).ConfigureAwait(false);
            }
        }
        catch (Exception error)
        {
            writer.Blame(error);
            await writer.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        _era = signals.Seen.Current;
        return writer;
    }

    private async ValueTask CompareAsync(CommitWriter writer, SeenVersion before, long highest)
    {
        var (version, sequence) = await writer.LookAsync(_answered.Writer, CancellationToken.None).ConfigureAwait(false);

        // What was answered before a loss that was noticed is part of it.
        var lacksOwn = _answeredIn == before.Era && KeepsMark(_answered.Writer) && sequence < _answered.Sequence;
        signals.Seen.Look(before, version, lacksOwn);
        if (version >= highest)
        {
            return;
        }

        // A versionstamp names one state of an entry: those that were given out for what is lost must not come again.
        using (var gate = await SharedLocks.PassAsync(locks).ConfigureAwait(false))
        {
            await writer.RaiseVersionAsync(highest + 1, CancellationToken.None).ConfigureAwait(false);
        }

        signals.Seen.Learn(signals.Seen.Current, highest + 1);
        signals.Wake(ChangeKinds.All);
    }

    // Marks of writers whose numbers are old are deleted.
    private bool KeepsMark(long writer) =>
        writer != 0 && clock.Now - (writer >> KvSql.WriterRandomBits) < CommitMarks.Lifetime.TotalMilliseconds / 2;
}
