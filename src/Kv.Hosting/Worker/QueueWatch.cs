using System.Collections.Concurrent;
using Kv.Control;
using Kv.Diagnostics;
using Kv.Handling;
using Kv.Messages;
using Kv.Model;
using Kv.Queue;
using Kv.Store;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace Kv.Worker;

/// <summary>
/// Looks for messages that get nowhere: those of topics that have no handler, or of which nothing is claimed, and dead letters.
/// </summary>
/// <remarks>
/// What other processes handle is not known here. A topic counts as without a handler if it has none in this process, has had a message due
/// for some time, is not paused, and no message of it runs in any process.
/// </remarks>
internal sealed class QueueWatch(KvStore store, KvWorkerOptions options, HandlerRegistry? handlers = null)
{
    /// <summary>As many dead letters are counted, and as many topics are looked at.</summary>
    public const int Most = 1000;

    // Other programs have put in times that no TimeSpan can hold.
    private const long LongestWait = 100L * 365 * 24 * 60 * 60 * 1000;

    private static readonly TimeSpan Interval = TimeSpan.FromMinutes(1);
    private readonly DeadLetters _letters = new(store);
    private readonly ConcurrentDictionary<string, long> _claimed = new(StringComparer.Ordinal);
    private long? _lookedAt;
    private HashSet<string> _told = new(StringComparer.Ordinal);

    private MessageQueue Queue => store.Engine.Queue;

    /// <summary>The name of the worker of this process; null if it has none.</summary>
    public string? Owner { get; set; }

    /// <summary>The worker of this process has claimed a message of a topic.</summary>
    public void Claimed(string topic) => _claimed[topic] = Queue.Time.GetTimestamp();

    /// <summary>The topics without a handler that have messages which are due, and for how long the first has been.</summary>
    public async Task<IReadOnlyList<(string Topic, TimeSpan Waiting)>> FindUnhandledAsync(CancellationToken cancellationToken)
    {
        var handled = handlers?.Handled.ToHashSet(StringComparer.Ordinal) ?? [];
        return await FindAsync(
            topic => handled.Contains(topic) ? null : options.UnhandledAfter,
            token => RunningAsync(except: null, token),
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// The topics with a handler that have messages which are due for long, and for how long the first has been, while none of theirs was
    /// claimed here, and none is with another worker.
    /// </summary>
    public async Task<IReadOnlyList<(string Topic, TimeSpan Waiting)>> FindLateAsync(CancellationToken cancellationToken)
    {
        var handled = handlers?.Handled.ToHashSet(StringComparer.Ordinal) ?? [];
        return await FindAsync(
            topic => handled.Contains(topic) && !WasClaimed(topic) ? options.LateAfter : null,
            token => RunningAsync(Owner, token),
            cancellationToken).ConfigureAwait(false);
    }

    private bool WasClaimed(string topic) =>
        _claimed.TryGetValue(topic, out var at) && Queue.Time.GetElapsedTime(at) < options.LateAfter;

    /// <summary>The topics whose first due message is older than <see cref="KvWorkerOptions.MaxAge"/>, whatever is done about it.</summary>
    public async Task<IReadOnlyList<(string Topic, TimeSpan Waiting)>> FindOldAsync(CancellationToken cancellationToken) =>
        options.MaxAge is { } most ? await FindAsync(_ => most, findWorked: null, cancellationToken).ConfigureAwait(false) : [];

    /// <param name="limitOf">How long a message of a topic may have been due; null for ever.</param>
    /// <param name="findWorked">Gives the topics that are worked on, which count as none; null where that does not matter.</param>
    /// <param name="cancellationToken">Gives up.</param>
    private async Task<List<(string Topic, TimeSpan Waiting)>> FindAsync(
        Func<string, TimeSpan?> limitOf, Func<CancellationToken, Task<HashSet<string>>>? findWorked, CancellationToken cancellationToken)
    {
        List<(string Topic, TimeSpan Waiting)> found = [];
        foreach (var topic in await Queue.TopicsAsync(Most, cancellationToken).ConfigureAwait(false))
        {
            if (limitOf(topic) is not { } limit)
            {
                continue;
            }

            TopicClaim[] claim = [new TopicClaim(topic, 1, options.Lease)];
            var (due, deferred, _, _) = await Queue.NextDueAsync(claim, cancellationToken).ConfigureAwait(false);
            var since = due is null || deferred < due ? deferred : due;
            if (since <= -limit.TotalMilliseconds)
            {
                found.Add((topic, TimeSpan.FromMilliseconds(-Math.Max(since.Value, -LongestWait))));
            }
        }

        if (found.Count > 0 && findWorked is not null)
        {
            var worked = await findWorked(cancellationToken).ConfigureAwait(false);
            found.RemoveAll(f => worked.Contains(f.Topic));
        }

        return found;
    }

    /// <summary>
    /// How many dead letters there are, up to <see cref="Most"/>, of which topics, and whether they are to be told of: the last one is
    /// newer than <see cref="KvWorkerOptions.DeadLettersFor"/>, or it is not known.
    /// </summary>
    public async Task<(int Count, IReadOnlyList<string> Topics, bool AreNew)> FindDeadLettersAsync(CancellationToken cancellationToken)
    {
        var (count, topics) = await _letters.CountAsync(Most, cancellationToken).ConfigureAwait(false);
        if (count == 0)
        {
            return (0, topics, false);
        }

        // What cannot be read, or is more than is looked through, is told of for as long as it is there.
        if (count == Most || await _letters.LastDiedAtAsync(Most, cancellationToken).ConfigureAwait(false) is not { } last)
        {
            return (count, topics, true);
        }

        return (count, topics, Queue.UtcNow - last < options.DeadLettersFor);
    }

    /// <summary>Looks once a minute, and warns of each topic without a handler when it is first seen.</summary>
    public async ValueTask WarnAsync(ILogger logger, CancellationToken cancellationToken)
    {
        if (_lookedAt is { } at && Queue.Time.GetElapsedTime(at) < Interval)
        {
            return;
        }

        _lookedAt = Queue.Time.GetTimestamp();
        try
        {
            var found = await FindUnhandledAsync(cancellationToken).ConfigureAwait(false);
            foreach (var (topic, waiting) in found.Where(f => !_told.Contains(f.Topic)))
            {
                WorkerLog.Unhandled(logger, topic, waiting);
            }

            _told = found.Select(static f => f.Topic).ToHashSet(StringComparer.Ordinal);
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested)
        {
            // The messages that have a handler do not wait for this.
            WorkerLog.LookFailed(logger, error);
        }
    }

    private async Task<HashSet<string>> RunningAsync(string? except, CancellationToken cancellationToken)
    {
        var context = store.Engine.CreateContext();
        await using (context.ConfigureAwait(false))
        {
            return await context.Set<RunningMessage>().Where(m => except == null || m.Owner != except)
                .Select(static m => m.Topic).Distinct()
                .ToHashSetAsync(StringComparer.Ordinal, cancellationToken).ConfigureAwait(false);
        }
    }
}
