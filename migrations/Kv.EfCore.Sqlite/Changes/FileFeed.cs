using System.Globalization;
using Kv.Changes;
using Kv.Connections;

namespace Kv.Sqlite;

/// <summary>Sees in the file that another connection has committed, of this process or of another.</summary>
/// <remarks>
/// Soon again after something was seen, since commits come in swarms; then ever more rarely. No injected clock moves other processes.
/// </remarks>
internal sealed class FileFeed(Session session, Driver driver, TimeSpan longest) : NoticeFeed(session)
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(10);
    private readonly Session _session = session;
    private TimeSpan _wait = Shorter(First, longest);
    private long _seen;

    /// <summary>Looks at the file's counter.</summary>
    /// <returns>Whether it changed.</returns>
    public async ValueTask<bool> LookAsync(CancellationToken cancellationToken)
    {
        if (_session.FindLoss() is { } loss)
        {
            throw new IOException(loss);
        }

        var before = _seen;
        _seen = Convert.ToInt64(
            await _session.Statement(SqliteSql.FileVersion).ScalarAsync(cancellationToken).ConfigureAwait(false),
            CultureInfo.InvariantCulture);
        return _seen != before;
    }

    public override async ValueTask<Notice> NextAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await Task.Delay(_wait, TimeProvider.System, cancellationToken).ConfigureAwait(false);
            if (await TryLookAsync(cancellationToken).ConfigureAwait(false))
            {
                _wait = Shorter(First, longest);

                // What to look for it does not say. Heartbeats commit, so if each commit asked for one, they would never end: a worker
                // learns at its next regular one that a message of its is to be cancelled.
                return new Notice(0, ChangeKinds.Version | ChangeKinds.Messages, 0);
            }

            _wait = Shorter(_wait * 2, longest);
        }
    }

    private static TimeSpan Shorter(TimeSpan one, TimeSpan other) => one < other ? one : other;

    // A process that recovers or truncates the log locks readers out for a moment.
    private async ValueTask<bool> TryLookAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await LookAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error) when (driver.Classify(error) == Fault.Busy)
        {
            return false;
        }
    }
}
