using Kv.Diagnostics;
using Kv.Messages;
using Kv.Queue;
using Kv.Topics;
using Microsoft.Extensions.Logging;

namespace Kv.Worker;

/// <summary>
/// What a worker sees to besides claiming: groups that wait for a message which is not there, and rows that no claim takes.
/// </summary>
/// <param name="queue">Where messages come from.</param>
/// <param name="sifter">Makes dead letters of what no claim takes.</param>
/// <param name="topics">The topics that are handled.</param>
/// <param name="options">How often to look for rows that no claim takes.</param>
/// <param name="logger">Where to say what is found.</param>
internal sealed class QueueChores(MessageQueue queue, StraySifter sifter, TopicSettings[] topics, KvWorkerOptions options, ILogger logger)
{
    // A probe or two for each; where there are more groups, the next look goes on from there.
    private const int GroupsOfALook = 10_000;
    private static readonly TimeSpan RepairInterval = TimeSpan.FromMinutes(1);
    private IReadOnlyList<MessageGroup> _repairAfter = [.. topics.Select(static t => new MessageGroup(t.Topic, ""))];
    private long? _repairedAt;
    private long? _siftedAt;
    private volatile bool _mayHaveStrays;

    /// <summary>A claim has set rows aside.</summary>
    public void MarkStrays() => _mayHaveStrays = true;

    /// <summary>
    /// Lets groups go on that wait for nothing: a message that was deleted with other SQL took its slot away from its group.
    /// </summary>
    public async ValueTask RepairAsync(CancellationToken cancellationToken)
    {
        if (_repairedAt is { } at && queue.Time.GetElapsedTime(at) < RepairInterval)
        {
            return;
        }

        _repairedAt = queue.Time.GetTimestamp();
        (var found, _repairAfter) = await queue.RepairAsync(_repairAfter, GroupsOfALook, cancellationToken).ConfigureAwait(false);
        foreach (var group in found)
        {
            WorkerLog.GroupRepaired(logger, group.Key, group.Topic);
        }
    }

    /// <summary>Has rows looked after that no claim takes.</summary>
    /// <param name="endless">Whether deadlines can be believed.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Whether something was done: what was mended is due, and what was set aside may have kept others from their slot.</returns>
    public async ValueTask<bool> SiftAsync(bool endless, CancellationToken cancellationToken)
    {
        if (!_mayHaveStrays && _siftedAt is { } at && queue.Time.GetElapsedTime(at) < options.RecoverInterval)
        {
            return false;
        }

        (_siftedAt, _mayHaveStrays) = (queue.Time.GetTimestamp(), false);
        return await sifter.SiftAsync(endless, cancellationToken).ConfigureAwait(false);
    }
}
