using System.Runtime.CompilerServices;
using Kv.Changes;
using Kv.Commits;
using Kv.Diagnostics;
using Kv.Engine;
using Kv.Feed;
using Kv.Keys;

namespace Kv.Store;

/// <summary>What a follower of a range gets: the keys that were changed, commit by commit, or since it last looked.</summary>
/// <param name="engine">The store's parts.</param>
/// <param name="shown">What the store shows.</param>
/// <param name="range">The range in the terms of the whole store.</param>
internal sealed class Following(KvEngine engine, KeyScope shown, KvRange range)
{
    /// <summary>Changes that one statement reads.</summary>
    private const int BatchSize = 1000;

    private readonly SeenVersions.Era _era = engine.Signals.Seen.Current;
    private readonly LastingReads _reads = new(
        engine, error => KvLog.FeedInterrupted(engine.Logger, error), () => KvLog.FeedResumed(engine.Logger));

    private readonly FeedFlush _flush = new(engine.Pipeline, engine.Driver.Sql, engine.Signals.Seen);

    /// <summary>The changes of each commit after a version, from the feed.</summary>
    public async IAsyncEnumerable<KvChangeSet> CommitsAsync(long version, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, engine.Ending);
        using var watch = engine.Metrics.Watch();
        using (engine.Listener.Listen(watches: true))
        {
            var place = FeedPlace.After(version);
            var progress = new FeedProgress(engine.Clock.Time, engine.Options.SweepInterval, version);
            var open = new List<KvChange>();
            while (!cancellationToken.IsCancellationRequested)
            {
                var (change, isDue) = (engine.Signals.NextChange, progress.IsDue);
                if (await LookAsync(place, LastToTell, ending.Token, cancellationToken).ConfigureAwait(false) is not { } batch)
                {
                    yield break;
                }

                foreach (var row in batch.Rows)
                {
                    if (open.Count > 0 && row.Version != place.Version)
                    {
                        yield return Take();
                    }

                    place = new FeedPlace(row.Version, row.Key);
                    open.Add(Out(row));
                }

                if (batch.Rows.Count == BatchSize)
                {
                    continue;
                }

                if (open.Count > 0)
                {
                    yield return Take();
                }

                place = FeedPlace.After(batch.Version);
                if (batch.Rows.Count == 0 && LastToTell(batch) > 0)
                {
                    yield return Take();
                }

                if (!batch.IsCut && !await WaitAsync(batch, change, progress.DueIn(place.Version), cancellationToken).ConfigureAwait(false))
                {
                    yield break;
                }

                long LastToTell(FeedBatch of) => of.Rows is [.., var last] ? last.Version
                    : isDue && progress.IsNews(of.Version) ? of.Version
                    : 0;
            }

            KvChangeSet Take()
            {
                var set = new KvChangeSet(KvVersionstamp.FromVersion(place.Version), open);
                progress.Told(place.Version);
                open = [];
                return set;
            }
        }
    }

    /// <summary>
    /// The keys that were changed since the last look: first none, with the version from which on nothing is missed. From the feed where it
    /// is on; otherwise by comparing the keys and their versions.
    /// </summary>
    public async IAsyncEnumerable<KvChangeSet> LooksAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, engine.Ending);
        using var watch = engine.Metrics.Watch();
        using (engine.Listener.Listen(watches: true))
        {
            FeedPlace? place = null;
            Dictionary<byte[], long>? last = null;
            var changed = new SortedDictionary<byte[], bool>(ByBytes);
            while (!cancellationToken.IsCancellationRequested)
            {
                var change = engine.Signals.NextChange;
                if (place is null)
                {
                    if (await CompareAsync(ending.Token, cancellationToken).ConfigureAwait(false) is not { } look)
                    {
                        yield break;
                    }

                    if (last is null)
                    {
                        yield return Set(look.State.Version, []);
                    }
                    else if (Differences(last, look.Of) is { Count: > 0 } differences)
                    {
                        yield return Set(look.State.Version, differences);
                    }

                    (last, place) = (look.Of, look.State.IsOn ? FeedPlace.After(look.State.Version) : null);
                    if (place is null && !await engine.Signals.TryWaitAsync(change, cancellationToken).ConfigureAwait(false))
                    {
                        yield break;
                    }

                    continue;
                }

                if (await LookAsync(place.Value, static _ => 0, ending.Token, cancellationToken).ConfigureAwait(false) is not { } batch)
                {
                    yield break;
                }

                batch.Rows.ForEach(row => changed[row.Key] = row.IsDeleted);
                if (batch.Rows.Count == BatchSize)
                {
                    place = new FeedPlace(batch.Rows[^1].Version, batch.Rows[^1].Key);
                    continue;
                }

                place = FeedPlace.After(batch.State.Version);
                if (changed.Count > 0)
                {
                    yield return Set(batch.State.Version, changed);
                    changed.Clear();
                }

                if (!await WaitAsync(batch, change, Timeout.InfiniteTimeSpan, cancellationToken).ConfigureAwait(false))
                {
                    yield break;
                }
            }
        }
    }

    private static Comparer<byte[]> ByBytes { get; } =
        Comparer<byte[]>.Create(static (one, other) => one.AsSpan().SequenceCompareTo(other));

    /// <summary>Reads on from a place.</summary>
    /// <param name="place">The place.</param>
    /// <param name="lastToTell">The last version of what was read that is told, and is to be on the disk; 0 for none.</param>
    /// <param name="ending">Cancelled when the caller gives up, or the store ends.</param>
    /// <param name="cancellationToken">Cancelled when the caller gives up.</param>
    /// <returns>Null when the sequence is over.</returns>
    /// <exception cref="KvException">The feed is off, or changes may be missing.</exception>
    private async ValueTask<FeedBatch?> LookAsync(
        FeedPlace place, Func<FeedBatch, long> lastToTell, CancellationToken ending, CancellationToken cancellationToken)
    {
        var found = await _reads.TryAsync(ReadAsync, ending, cancellationToken).ConfigureAwait(false);
        if (found is not { Batch: var batch })
        {
            return null;
        }

        var state = batch.State;
        if (!state.IsOn)
        {
            throw FeedErrors.Off(state);
        }

        if (place.Version > state.Version || engine.Signals.Seen.Current != _era)
        {
            throw FeedErrors.WentBack(place.Version, state);
        }

        return place.Needs < state.Oldest ? throw FeedErrors.TooOld(place.Version, state) : batch;

        async ValueTask<(Look Found, long Version)> ReadAsync(CancellationToken token)
        {
            var read = await FollowAsync(place, token).ConfigureAwait(false);
            if (lastToTell(read) > _flush.Durable)
            {
                var durable = await _flush.RunAsync(read.State, ending).ConfigureAwait(false);
                read = (await FollowAsync(place, token).ConfigureAwait(false)).UpTo(durable);
            }

            return (new Look(read), read.State.Version);
        }
    }

    private ValueTask<FeedBatch> FollowAsync(FeedPlace place, CancellationToken cancellationToken) =>
        engine.Feed.Reader.FollowAsync(place, range.Start, range.End, BatchSize, cancellationToken);

    private async ValueTask<Versions?> CompareAsync(CancellationToken ending, CancellationToken cancellationToken)
    {
        var found = await _reads.TryAsync(ReadAsync, ending, cancellationToken).ConfigureAwait(false);
        return found?.State.IsOn == false && found.Of.Count > KvLimits.MaxWatchedRange ? throw FeedErrors.TooMany(found.State) : found;

        async ValueTask<(Versions Found, long Version)> ReadAsync(CancellationToken token)
        {
            var (state, versions) = await engine.Feed.Reader.VersionsAsync(range.Start, range.End, KvLimits.MaxWatchedRange + 1, token)
                .ConfigureAwait(false);
            return (new Versions(state, versions), state.Version);
        }
    }

    /// <summary>Waits for the next commit, or for a time. A commit is made for what is recorded for it, if none comes.</summary>
    private async ValueTask<bool> WaitAsync(FeedBatch batch, Task change, TimeSpan longest, CancellationToken cancellationToken)
    {
        if (batch.IsAhead && !change.IsCompleted)
        {
            try
            {
                await engine.Pipeline.SubmitAsync(new AtomicWork(new AtomicWrite()), cancellationToken).ConfigureAwait(false);
            }
            catch (Exception error) when (error is KvException or OperationCanceledException or ObjectDisposedException)
            {
                // The next commit of any program does as well.
                KvLog.FeedNotMoved(engine.Logger, error);
            }
        }

        return await engine.Signals.TryWaitAsync(change, cancellationToken, longest).ConfigureAwait(false);
    }

    private static SortedDictionary<byte[], bool> Differences(Dictionary<byte[], long> before, Dictionary<byte[], long> after)
    {
        var changed = new SortedDictionary<byte[], bool>(ByBytes);
        foreach (var (key, version) in after)
        {
            if (!before.TryGetValue(key, out var known) || known != version)
            {
                changed[key] = false;
            }
        }

        foreach (var key in before.Keys.Where(key => !after.ContainsKey(key)))
        {
            changed[key] = true;
        }

        return changed;
    }

    private KvChangeSet Set(long version, IEnumerable<KeyValuePair<byte[], bool>> changed) => new(
        KvVersionstamp.FromVersion(version), [.. changed.Select(pair => new KvChange(shown.Out(pair.Key), pair.Value))]);

    private KvChange Out(FeedRow row) => new(shown.Out(row.Key), row.IsDeleted);

    private sealed record Look(FeedBatch Batch);

    private sealed record Versions(FeedState State, Dictionary<byte[], long> Of);
}
