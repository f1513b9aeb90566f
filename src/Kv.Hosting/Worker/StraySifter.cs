using System.Data.Common;
using Kv.Control;
using Kv.Diagnostics;
using Kv.Messages;
using Kv.Queue;
using Kv.Store;
using Kv.Topics;
using Microsoft.Extensions.Logging;

namespace Kv.Worker;

/// <summary>
/// Looks for messages that no claim takes: what can be handled goes on, and the rest becomes dead letters, so that it is seen and can be
/// replayed.
/// </summary>
/// <param name="store">Where they are.</param>
/// <param name="topics">The topics that are handled.</param>
/// <param name="interval">How often to look.</param>
/// <param name="logger">Where to say what became of them.</param>
internal sealed class StraySifter(KvStore store, IReadOnlyList<TopicSettings> topics, TimeSpan interval, ILogger logger)
{
    private long? _lookedAt;
    private volatile bool _mayHaveStrays;
    private readonly string[] _names = [.. topics.Select(static t => t.Topic)];
    private readonly DeadLetters _letters = new(store);

    private MessageQueue Queue => store.Engine.Queue;

    /// <summary>A claim has set rows aside: they are looked for before the time comes.</summary>
    public void MarkStrays() => _mayHaveStrays = true;

    /// <summary>Looks for them, if it is time to.</summary>
    /// <param name="endless">Whether deadlines can be believed.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Whether something was done: what was mended is due, and what was set aside may have kept others from their slot.</returns>
    public async ValueTask<bool> SiftAsync(bool endless, CancellationToken cancellationToken)
    {
        if (!_mayHaveStrays && _lookedAt is { } at && Queue.Time.GetElapsedTime(at) < interval)
        {
            return false;
        }

        (_lookedAt, _mayHaveStrays) = (Queue.Time.GetTimestamp(), false);
        var done = false;
        try
        {
            var (mended, freed, strays) = await Queue.FindStraysAsync(_names, endless, cancellationToken).ConfigureAwait(false);
            if (mended > 0)
            {
                WorkerLog.Mended(logger);
            }

            foreach (var group in freed)
            {
                WorkerLog.GroupRepaired(logger, group.Key, group.Topic);
            }

            done = mended > 0 || freed.Count > 0;
            foreach (var stray in strays)
            {
                done |= await SetAsideAsync(stray, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (DbException error)
        {
            // Whatever is wrong with these rows, the others are not to wait for it.
            WorkerLog.SiftFailed(logger, error);
        }

        return done;
    }

    private async ValueTask<bool> SetAsideAsync(StrayMessage stray, CancellationToken cancellationToken)
    {
        // Its twin has the id, and may become a letter too.
        var message = stray.IsTwin
            ? stray.Message with { Fence = stray.Message.Fence with { Id = store.Engine.Ids.Next(store.Engine.Clock.Now) } }
            : stray.Message;
        var reason = stray.IsTwin
            ? $"Another message in the queue had the same id, {stray.Message.Fence.Id}, and only one of them can be held. "
                + "This one has a new id."
            : $"The message was in the state {stray.State}, which there is not, so that no worker would ever have taken it.";
        var named = MessageColumns.ReadKeys(message, store.Engine.IsAdopted);
        var keys = stray.IsTwin ? KeysIfUndelivered.None with { Named = named.Named } : named;
        var settings = topics.FirstOrDefault(t => t.Topic == message.Topic);
        var letter = _letters.Letter(message, keys, MessageColumns.ReadError(message.LastError), reason, message.Attempt);
        var (write, name) = _letters.Move(message, keys, letter, settings?.DeadLetterExpiry);
        (write.Acknowledges, write.Clears) = (null, stray.Row);
        write.Ends = stray.IsTwin ? null : write.Ends;
        if (message.GroupKey is { } group)
        {
            write.Unblocks = [new MessageGroup(message.Topic, group)];
        }

        try
        {
            await Queue.CommitAsync(write, cancellationToken).ConfigureAwait(false);
            WorkerLog.SetAside(logger, stray.Message.Fence.Id, message.Topic, reason, name!.ToString());
            return true;
        }
        catch (KvException error) when (error.Kind == KvErrorKind.NotFound)
        {
            // Another worker was quicker.
            return false;
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            WorkerLog.SiftFailed(logger, error);
            return false;
        }
    }
}
