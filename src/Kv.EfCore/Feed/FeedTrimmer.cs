using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Messages;
using Kv.Sql;
using Microsoft.Extensions.Logging;

namespace Kv.Feed;

/// <summary>Deletes changes that are no longer kept, in batches, and notes now and then what version the store has at which time.</summary>
/// <remarks>
/// It says first that changes may be missing, and deletes then: a follower that comes between is told, and loses none unseen. Whether the
/// feed is on, the sweeper learns with what it asks anyway: while it is off, nothing of this runs.
/// </remarks>
/// <param name="reader">Reads the feed.</param>
/// <param name="pipeline">Runs the statements between the commits.</param>
/// <param name="sql">The statements.</param>
/// <param name="clock">The store's clock.</param>
/// <param name="options">How often to look.</param>
/// <param name="logger">Where to say what failed.</param>
internal sealed class FeedTrimmer(
    FeedReader reader, CommitPipeline pipeline, FeedSql sql, StoreClock clock, KvStoreOptions options, ILogger logger)
{
    /// <summary>Changes that one transaction deletes.</summary>
    private const int BatchSize = 1000;

    /// <summary>How many notes of the version lie in the time for which changes are kept: by one of them they are kept longer.</summary>
    private const int Notes = 20;

    private static readonly TimeSpan Soonest = TimeSpan.FromSeconds(1);

    private readonly long _openedAt = clock.Time.GetTimestamp();
    private TimeSpan? _dueIn;

    /// <summary>Trims if it is time for that. What fails is said, and tried again later.</summary>
    /// <returns>How long until it is time again.</returns>
    public async ValueTask<TimeSpan> TrimWhenDueAsync(CancellationToken cancellationToken)
    {
        // First when the store has been open for a while: a start has no time for it.
        var open = clock.Time.GetElapsedTime(_openedAt);
        var due = _dueIn ??= options.SweepInterval;
        if (open < due)
        {
            return due - open;
        }

        TimeSpan wait;
        try
        {
            wait = await TrimAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested)
        {
            wait = options.SweepInterval;
            KvLog.TrimFailed(logger, StoreDisposed.LevelOf(error, LogLevel.Error), error, wait);
        }

        _dueIn = clock.Time.GetElapsedTime(_openedAt) + wait;
        return wait;
    }

    /// <summary>Deletes what is no longer kept by now.</summary>
    /// <returns>How long until there may be more.</returns>
    public async Task<TimeSpan> TrimAsync(CancellationToken cancellationToken)
    {
        if (await reader.RetentionAsync(cancellationToken).ConfigureAwait(false) is not { } feed)
        {
            return options.SweepInterval;
        }

        var wait = options.SweepInterval;
        if (feed.KeepMilliseconds is { } age)
        {
            var step = TimeSpan.FromMilliseconds(Math.Max((double)age / Notes, Soonest.TotalMilliseconds));
            wait = step < wait ? step : wait;
            if (feed.Now - feed.NotedAt >= step.TotalMilliseconds || feed.Now < feed.NotedAt)
            {
                await RunAsync(sql.Note, cancellationToken, ("@now", feed.Now)).ConfigureAwait(false);
            }
        }

        var cut = Math.Max(feed.Outlived ?? 0, feed.KeepVersions is { } most ? feed.Version - most : 0);
        if (cut > feed.Oldest)
        {
            await RunAsync(sql.Cut, cancellationToken, ("@version", cut)).ConfigureAwait(false);
            await RunAsync(sql.ForgetNotes, cancellationToken, ("@version", cut)).ConfigureAwait(false);
        }

        await DeleteAsync(Math.Max(cut, feed.Oldest), cancellationToken).ConfigureAwait(false);
        return wait;
    }

    /// <summary>Deletes all changes up to a version, of which no follower is told.</summary>
    public async Task DeleteAsync(long version, CancellationToken cancellationToken)
    {
        while (await RunAsync(sql.Trim, cancellationToken, ("@version", version), ("@limit", BatchSize)).ConfigureAwait(false))
        {
        }
    }

    private ValueTask<bool> RunAsync(string text, CancellationToken cancellationToken, params (string Name, object? Value)[] values) =>
        pipeline.SubmitAsync(new UpdateWork(text, values), cancellationToken);
}
