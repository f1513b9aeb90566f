using Kv.Handling;
using Kv.Messages;
using Kv.Model;
using Kv.Store;
using Kv.Topics;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kv.Driving;

/// <summary>Takes one message for a test, whatever else waits: it passes by what is paused or comes first.</summary>
/// <param name="rounds">The store and its worker.</param>
/// <param name="worker">The options of the worker.</param>
internal sealed class MessageTaker(Rounds rounds, KvWorkerOptions worker)
{
    // A topic that nothing else is claimed by.
    private readonly string _apart = $"efkv-testing-{Guid.NewGuid():N}";

    private KvStore Store => rounds.Store;

    /// <summary>Takes a message as <see cref="TakeAsync"/> does, for a test that handles it itself.</summary>
    public async Task<KvTestDelivery<T>> BeginAsync<T>(
        T message,
        int attempt,
        KvValue? checkpoint,
        KvEnqueueOptions? options,
        IServiceProvider services,
        TimeProvider time,
        CancellationToken cancellationToken)
    {
        var claimed = await TakeAsync(message, attempt, checkpoint, options, isHandled: false, cancellationToken).ConfigureAwait(false);
        var held = new HeldMessage(claimed, SettingsOf(claimed.Topic), Store, time.GetTimestamp());
        var at = time.GetUtcNow();
        var logger = (services.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance).CreateLogger("Kv.Worker");
        return new KvTestDelivery<T>(
            held,
            new MessageEnding(Store, static _ => { }, logger),
            services.CreateAsyncScope(),
            ended => new OpenDelivery(ended, at).Describe(time.GetUtcNow()));
    }

    /// <summary>How a topic is treated.</summary>
    public TopicSettings SettingsOf(string topic) =>
        rounds.Registration?.Handlers.Topics(worker).FirstOrDefault(settings => settings.Topic == topic)
            ?? new TopicSettings(topic, new KvTopicOptions(), worker);

    /// <summary>Enqueues a message and claims it.</summary>
    /// <param name="message">The message.</param>
    /// <param name="attempt">Which attempt it is, from 1.</param>
    /// <param name="checkpoint">What an earlier attempt has left; null for nothing.</param>
    /// <param name="options">How it is enqueued.</param>
    /// <param name="isHandled">Whether the worker must have a handler for it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<ClaimedMessage> TakeAsync<T>(
        T message, int attempt, KvValue? checkpoint, KvEnqueueOptions? options, bool isHandled, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(attempt, 1);
        var name = MessageName.Of(message, Store.Serializer);
        var topic = options?.Topic ?? name.Topic;
        if (isHandled && rounds.Registration?.Handlers.Handled.Contains(topic, StringComparer.Ordinal) != true)
        {
            throw new KvTestException(
                $"The worker of this host has no handler for the topic '{topic}', by which messages named '{name.Name}' come. Register "
                + "one: app.Handle<...>().");
        }

        if (isHandled && rounds.Worker is null)
        {
            throw new KvTestException("The worker of this host was killed, and handles nothing. Start one: await kv.StartWorkerAsync().");
        }

        var enqueued = await Store.EnqueueAsync(message, options, cancellationToken).ConfigureAwait(false);
        if (!enqueued.IsNew)
        {
            throw new KvTestException(
                $"The message '{name.Name}' was not enqueued, since one with its unique key '{options?.UniqueKey}' is there already.");
        }

        var context = Store.Engine.CreateContext();
        await using (context.ConfigureAwait(false))
        {
            await SetAsideAsync(context, enqueued.MessageId, attempt, checkpoint, cancellationToken).ConfigureAwait(false);
            var claim = new ClaimWork([new TopicClaim(_apart, 1, SettingsOf(topic).ClaimDuration)], 1, rounds.Worker?.Owner ?? _apart);
            var claimed = (await Store.Engine.Queue.ClaimAsync(claim, cancellationToken).ConfigureAwait(false)).Single();
            await context.RunningMessages.Where(row => row.Id == enqueued.MessageId)
                .ExecuteUpdateAsync(row => row.SetProperty(r => r.Topic, topic), cancellationToken).ConfigureAwait(false);
            return claimed with { Topic = topic };
        }
    }

    private async Task SetAsideAsync(
        KvDbContext context, string id, int attempt, KvValue? checkpoint, CancellationToken cancellationToken)
    {
        var rows = context.QueuedMessages.Where(row => row.Id == id);
        var delays = await rows.Select(static row => row.BackoffSchedule).SingleAsync(cancellationToken).ConfigureAwait(false);
        var left = MessageColumns.WriteDelays(MessageColumns.ReadDelays(delays)?.Skip(attempt - 1) ?? []);
        var now = Store.Engine.Clock.Now;
        await rows.ExecuteUpdateAsync(
            row => row.SetProperty(r => r.Topic, _apart).SetProperty(r => r.DueAt, now).SetProperty(r => r.State, MessageState.Ready)
                .SetProperty(r => r.Attempt, attempt - 1).SetProperty(r => r.BackoffSchedule, left),
            cancellationToken).ConfigureAwait(false);
        if (checkpoint is not null)
        {
            await rows.ExecuteUpdateAsync(
                row => row.SetProperty(r => r.Checkpoint, checkpoint.Array).SetProperty(r => r.CheckpointEncoding, checkpoint.Encoding),
                cancellationToken).ConfigureAwait(false);
        }
    }
}
