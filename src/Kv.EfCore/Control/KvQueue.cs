using Kv.Changes;
using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Engine;
using Kv.Keys;
using Kv.Messages;
using Kv.Model;
using Kv.Queue;
using Kv.Store;

namespace Kv.Control;

/// <summary>
/// Implements <see cref="IKvQueue"/> over the store. What it looks at it reads as claims do: a row of another program hides no other.
/// </summary>
internal sealed class KvQueue(KvStore store) : IKvQueue
{
    private const int MostAtOnce = 1000;
    private static readonly TimeSpan LongestPause = TimeSpan.FromDays(3650);
    private readonly DeadLetters _letters = new(store);

    private KvEngine Engine => store.Engine;

    public async ValueTask PauseAsync(string topic, TimeSpan? duration = null, CancellationToken cancellationToken = default)
    {
        Valid(topic);
        if (duration <= TimeSpan.Zero)
        {
            throw new ArgumentException(
                $"The topic is to be paused for {duration}; the time must be positive. To end a pause, call ResumeAsync.",
                nameof(duration));
        }

        if (duration > LongestPause)
        {
            throw new ArgumentException(
                $"The topic is to be paused for {duration}; the time must be at most {LongestPause.TotalDays:0} days. "
                + "For longer, leave it out.",
                nameof(duration));
        }

        await CommitAsync(
            new Mutation(MutationKind.Set, QueueKeys.Paused(topic))
            {
                Encoding = (int)KvEncoding.Bytes,
                ExpireIn = (long?)duration?.TotalMilliseconds ?? -1,
            },
            cancellationToken).ConfigureAwait(false);
        if (duration is not null)
        {
            // Workers that look when messages come have to learn when this ends.
            Engine.Signals.Wake(ChangeKinds.Messages);
        }

        await WarnOfNothingAsync(topic, cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask ResumeAsync(string topic, CancellationToken cancellationToken = default)
    {
        Valid(topic);
        await CommitAsync(new Mutation(MutationKind.Delete, QueueKeys.Paused(topic)), cancellationToken).ConfigureAwait(false);
        Engine.Signals.Wake(ChangeKinds.Messages);
    }

    public async ValueTask<KvCancelResult> CancelAsync(string id, CancellationToken cancellationToken = default)
    {
        ValidId(id);
        AmbientTransaction.RefuseWrite();
        await Engine.OpenAsync(cancellationToken).ConfigureAwait(false);

        // A message that is just being claimed or put back is in neither table's snapshot for a moment.
        for (var tries = 0; tries < 3; tries++)
        {
            if (await Engine.Views.FindAsync(id, cancellationToken).ConfigureAwait(false) is { State: not null } waiting
                && await TryRemoveAsync(waiting.Message, cancellationToken).ConfigureAwait(false))
            {
                return KvCancelResult.Removed;
            }

            var cancel = new UpdateWork(Engine.Driver.Sql.CancelRunning, [("@id", id)]);
            if (await Engine.Pipeline.SubmitAsync(cancel, cancellationToken).ConfigureAwait(false))
            {
                Engine.Signals.Wake(ChangeKinds.Cancel);
                return KvCancelResult.Requested;
            }
        }

        return KvCancelResult.NotFound;
    }

    public async ValueTask<KvMessageInfo?> GetAsync(string id, CancellationToken cancellationToken = default)
    {
        ValidId(id);
        await Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        return await Engine.Views.FindAsync(id, cancellationToken).ConfigureAwait(false) is { } found
            ? Info(found, await NowAsync(cancellationToken).ConfigureAwait(false))
            : null;
    }

    public async ValueTask<IReadOnlyList<KvMessageInfo>> PeekAsync(
        string topic, int limit = 10, CancellationToken cancellationToken = default)
    {
        Valid(topic);
        Valid(limit);
        await Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        var messages = await Engine.Views.PeekAsync(topic, limit, cancellationToken).ConfigureAwait(false);
        var now = await NowAsync(cancellationToken).ConfigureAwait(false);
        return messages.ConvertAll(m => Info(m, now));
    }

    public async ValueTask<IReadOnlyList<KvMessageInfo>> ListRunningAsync(int limit = 100, CancellationToken cancellationToken = default)
    {
        Valid(limit);
        await Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        return (await Engine.Views.RunningAsync(limit, cancellationToken).ConfigureAwait(false)).ConvertAll(static m => Info(m, now: 0));
    }

    public async ValueTask<IReadOnlyList<KvTopicStats>> GetStatsAsync(CancellationToken cancellationToken = default)
    {
        await Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        var now = await NowAsync(cancellationToken).ConfigureAwait(false);
        var stats = new SortedDictionary<string, KvTopicStats>(StringComparer.Ordinal);
        var (waiting, running) = await Engine.Views.CountAsync(now, cancellationToken).ConfigureAwait(false);
        foreach (var part in waiting)
        {
            var topic = Of(part.Topic);
            if (part.State is not ((long)MessageState.Ready or (long)MessageState.Deferred))
            {
                stats[part.Topic] = topic with { Blocked = topic.Blocked + part.Count };
                continue;
            }

            TimeSpan? oldest = part.Due > 0 && part.State == (long)MessageState.Ready
                ? TimeSpan.FromMilliseconds(now - Math.Clamp(part.First, 0, now))
                : null;
            stats[part.Topic] = topic with
            {
                Due = topic.Due + part.Due,
                Delayed = topic.Delayed + part.Count - part.Due,
                OldestDue = oldest > topic.OldestDue || topic.OldestDue is null ? oldest ?? topic.OldestDue : topic.OldestDue,
            };
        }

        foreach (var (topic, count) in running)
        {
            stats[topic] = Of(topic) with { Running = Of(topic).Running + count };
        }

        var paused = store.ListKeysAsync(KvRange.Prefix([QueueKeys.Prefix, "paused"]), null, cancellationToken);
        await foreach (var key in paused.ConfigureAwait(false))
        {
            if (key is [_, _, { Type: KvKeyPartType.String } topic])
            {
                stats[topic.AsString()] = Of(topic.AsString()) with { IsPaused = true };
            }
        }

        return [.. stats.Values];

        KvTopicStats Of(string topic) => stats.GetValueOrDefault(topic) ?? new KvTopicStats(topic, 0, 0, 0, 0, null, false);
    }

    public IAsyncEnumerable<KvDeadLetter> ListDeadLettersAsync(string? topic = null, CancellationToken cancellationToken = default) =>
        _letters.ListAsync(topic, cancellationToken);

    public ValueTask<bool> ReplayAsync(KvDeadLetter letter, CancellationToken cancellationToken = default) =>
        _letters.ReplayAsync(letter, cancellationToken);

    public ValueTask<int> ReplayAllAsync(
        string? topic = null, Func<KvDeadLetter, bool>? filter = null, CancellationToken cancellationToken = default) =>
        ForAllAsync(topic, filter, ReplayAsync, cancellationToken);

    public ValueTask<bool> DeleteAsync(KvDeadLetter letter, CancellationToken cancellationToken = default) =>
        _letters.DeleteAsync(letter, cancellationToken);

    public ValueTask<int> DeleteAllAsync(
        string? topic = null, Func<KvDeadLetter, bool>? filter = null, CancellationToken cancellationToken = default) =>
        ForAllAsync(topic, filter, DeleteAsync, cancellationToken);

    private async ValueTask<int> ForAllAsync(
        string? topic,
        Func<KvDeadLetter, bool>? filter,
        Func<KvDeadLetter, CancellationToken, ValueTask<bool>> act,
        CancellationToken cancellationToken)
    {
        var done = 0;
        await foreach (var letter in _letters.ListAsync(topic, cancellationToken).ConfigureAwait(false))
        {
            if ((filter is null || filter(letter)) && await act(letter, cancellationToken).ConfigureAwait(false))
            {
                done++;
            }
        }

        return done;
    }

    private async ValueTask<bool> TryRemoveAsync(ClaimedMessage message, CancellationToken cancellationToken)
    {
        try
        {
            var unique = message.UniqueKey is { } key ? QueueKeys.Unique(message.Topic, key) : null;
            var ends = new MessageKeys(message.Topic, message.GroupKey, unique, message.UniqueUntil);
            var write = new AtomicWrite { Removes = message.Fence.Id, Ends = ends };
            await store.CommitAsync(write, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (KvException error) when (error.Kind == KvErrorKind.NotFound)
        {
            return false;
        }
    }

    private async ValueTask CommitAsync(Mutation mutation, CancellationToken cancellationToken)
    {
        var write = new AtomicWrite();
        write.Mutations.Add(mutation);
        await store.CommitAsync(write, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask WarnOfNothingAsync(string topic, CancellationToken cancellationToken)
    {
        try
        {
            if (!await Engine.Views.IsUsedAsync(topic, cancellationToken).ConfigureAwait(false))
            {
                KvLog.PausedNothing(Engine.Logger, topic);
            }
        }
        catch (Exception)
        {
            // The topic is paused, and that is the answer; a hint is all that is missing.
        }
    }

    // Asked of the server, if its clock decides: a message that came this moment is due.
    private async ValueTask<long> NowAsync(CancellationToken cancellationToken) =>
        (await store.UtcNowAsync(cancellationToken).ConfigureAwait(false)).ToUnixTimeMilliseconds();

    private static KeyScope Scope(MessageView view) => KeyScope.FromStored(view.Message.Scope);

    private static KvMessageInfo Info(MessageView view, long now) => new()
    {
        Id = view.Message.Fence.Id,
        Topic = view.Message.Topic,
        Type = view.Message.Type,
        State = view.State switch
        {
            null => KvMessageState.Running,
            not ((long)MessageState.Ready or (long)MessageState.Deferred) => KvMessageState.Blocked,
            _ => view.Until > now ? KvMessageState.Delayed : KvMessageState.Due,
        },
        Payload = new KvValue(view.Message.Data, (KvEncoding)view.Message.Encoding),
        DueAt = view.State is null ? null : KvMessageInfo.Time(view.Until),
        LeaseEndsAt = view.State is null ? KvMessageInfo.Time(view.Until) : null,
        EnqueuedAt = KvMessageInfo.Time(view.Message.EnqueuedAt),
        FailedAttempts = view.Message.Attempt,
        Crashes = view.Message.Crashes,
        Priority = view.Message.Priority,
        GroupKey = Scope(view).Out(view.Message.GroupKey),
        UniqueKey = Scope(view).Out(view.Message.UniqueKey),
        Scope = Scope(view) is { IsAll: false } scope ? scope.Prefix : null,
        FirstError = MessageColumns.ReadError(view.Message.FirstError),
        LastError = MessageColumns.ReadError(view.Message.LastError),
        Progress = view.Progress,
        Note = view.Note,
        Owner = view.Owner,
    };

    private static void ValidId(string id)
    {
        ArgumentException.ThrowIfNullOrEmpty(id);
        if (!StoredText.IsValid(id))
        {
            throw new ArgumentException(
                "The id has a NUL or half of a surrogate pair, and no message has such an id. Take it from KvCommitResult.MessageIds or "
                + "KvMessageInfo.Id.",
                nameof(id));
        }
    }

    private static void Valid(string topic)
    {
        ArgumentNullException.ThrowIfNull(topic);
        if (topic.Length > 0)
        {
            KvMessageAttribute.Valid(topic, nameof(topic));
        }
    }

    private static void Valid(int limit)
    {
        if (limit is < 1 or > MostAtOnce)
        {
            throw new ArgumentException($"The limit is {limit}; it must be 1 to {MostAtOnce}.", nameof(limit));
        }
    }
}
