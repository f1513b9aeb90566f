using Microsoft.Extensions.Logging;

namespace Kv.Diagnostics;

/// <summary>What the worker logs.</summary>
internal static partial class WorkerLog
{
    [LoggerMessage(101, LogLevel.Information, "The worker {Owner} takes messages of {Topics}, up to {Concurrency} at a time.")]
    public static partial void Started(ILogger logger, string owner, string topics, int concurrency);

    [LoggerMessage(102, LogLevel.Information, "The worker {Owner} has stopped; {Released} messages were given back.")]
    public static partial void Stopped(ILogger logger, string owner, int released);

    [LoggerMessage(103, LogLevel.Error, "Taking messages failed; it is tried again in {Wait}.")]
    public static partial void RoundFailed(ILogger logger, Exception error, TimeSpan wait);

    [LoggerMessage(104, LogLevel.Warning, "Message {Id} of '{Topic}' failed at attempt {Attempt}; the next one is in {Delay}.")]
    public static partial void Retried(ILogger logger, Exception error, string id, string topic, int attempt, TimeSpan delay);

    [LoggerMessage(
        105,
        LogLevel.Error,
        "Message {Id} of '{Topic}' could not be delivered ({Reason}); its failed attempts are {Attempt}, and it is kept under {Keys}.")]
    public static partial void BecameDeadLetter(
        ILogger logger, Exception? error, string id, string topic, int attempt, string reason, string keys);

    [LoggerMessage(
        106,
        LogLevel.Warning,
        "The lease of message {Id} of '{Topic}' was lost; what its handler still does is not recorded, and it is delivered again.")]
    public static partial void LeaseLost(ILogger logger, string id, string topic);

    [LoggerMessage(107, LogLevel.Warning, "Extending leases failed; it is tried again.")]
    public static partial void HeartbeatFailed(ILogger logger, Exception error);

    [LoggerMessage(108, LogLevel.Warning, "The handler of message {Id} of '{Topic}' threw after the message was completed.")]
    public static partial void ThrewAfterCompletion(ILogger logger, Exception error, string id, string topic);

    [LoggerMessage(
        109,
        LogLevel.Warning,
        "Message {Id} of '{Topic}' has something in a column that cannot be used ({Column}: {Text}); it goes without that.")]
    public static partial void BadColumn(ILogger logger, string id, string topic, string column, string text);

    [LoggerMessage(
        110,
        LogLevel.Warning,
        "The worker has no handlers, so it takes no messages. Register some: AddKvWorker().Handle<TMessage, THandler>().")]
    public static partial void NoHandlers(ILogger logger);

    [LoggerMessage(111, LogLevel.Debug, "Message {Id} of '{Topic}' was given back: the worker stops.")]
    public static partial void Released(ILogger logger, string id, string topic);

    [LoggerMessage(112, LogLevel.Warning, "Finishing message {Id} of '{Topic}' failed; it is tried again while the lease lasts.")]
    public static partial void FinishRetried(ILogger logger, Exception error, string id, string topic);

    [LoggerMessage(
        113,
        LogLevel.Warning,
        "What the handler of message {Id} of '{Topic}' used could not be disposed of; the message is handled all the same.")]
    public static partial void DisposeFailed(ILogger logger, Exception error, string id, string topic);

    [LoggerMessage(
        114,
        LogLevel.Warning,
        "The end of message {Id} of '{Topic}' could not be recorded; if it is still in the queue, it is delivered again when its lease "
        + "lapses.")]
    public static partial void NotFinished(ILogger logger, Exception error, string id, string topic);

    [LoggerMessage(
        115,
        LogLevel.Warning,
        "The handler of message {Id} of '{Topic}' ended after the message was given back; its end is not recorded. Let handlers end "
        + "when their token is cancelled.")]
    public static partial void EndedAfterRelease(ILogger logger, string id, string topic);

    [LoggerMessage(116, LogLevel.Warning, "Something that waited for the token of message {Id} of '{Topic}' threw when it was cancelled.")]
    public static partial void InterruptFailed(ILogger logger, Exception error, string id, string topic);

    [LoggerMessage(117, LogLevel.Warning, "Giving back message {Id} of '{Topic}' failed; it is delivered again when its lease lapses.")]
    public static partial void ReleaseFailed(ILogger logger, Exception error, string id, string topic);

    [LoggerMessage(
        118,
        LogLevel.Warning,
        "The system's clock was set; lapsed leases are looked for again in {Lease}, when those that live have been extended.")]
    public static partial void ClockStepped(ILogger logger, TimeSpan lease);

    [LoggerMessage(119, LogLevel.Information, "Message {Id} of '{Topic}' was cancelled.")]
    public static partial void Cancelled(ILogger logger, string id, string topic);

    [LoggerMessage(120, LogLevel.Debug, "Message {Id} of '{Topic}' was handled at attempt {Attempt} in {Elapsed}.")]
    public static partial void Handled(ILogger logger, string id, string topic, int attempt, TimeSpan elapsed);

    [LoggerMessage(124, LogLevel.Warning, "The handler of message {Id} of '{Topic}' asked for it to be put back for {Delay}, and threw.")]
    public static partial void ThrewAfterSnooze(ILogger logger, Exception error, string id, string topic, TimeSpan delay);

    [LoggerMessage(
        125,
        LogLevel.Warning,
        "The handler of message {Id} of '{Topic}' threw after CompleteAsync had joined its transaction; if that was committed, the "
        + "message is done.")]
    public static partial void ThrewAfterJoining(ILogger logger, Exception error, string id, string topic);

    [LoggerMessage(
        126,
        LogLevel.Error,
        "Message {Id} of '{Topic}' could not be seen through; it is delivered again when its lease lapses.")]
    public static partial void RunFailed(ILogger logger, Exception error, string id, string topic);

    [LoggerMessage(127, LogLevel.Warning, "A claim failed with the commit that it was to share; what is due is looked for.")]
    public static partial void ClaimFailed(ILogger logger, Exception error);

    [LoggerMessage(
        128,
        LogLevel.Warning,
        "The handler of message {Id} ('{Type}' of '{Topic}') has not ended after {Elapsed}, more than ten leases, and its lease is "
        + "still extended. Look at what it waits for; IKvQueue.CancelAsync asks it to stop, and KvTopicOptions.HandlerTimeout bounds "
        + "those that come after it.")]
    public static partial void StillRunning(ILogger logger, string id, string type, string topic, TimeSpan elapsed);

    [LoggerMessage(130, LogLevel.Debug, "The schedule '{Name}' enqueued its message of {Tick}.")]
    public static partial void Ticked(ILogger logger, string name, DateTimeOffset tick);

    [LoggerMessage(
        330,
        LogLevel.Warning,
        "The next tick of the schedule '{Name}' was noted for {Noted}, which is further ahead than it can be at {Now}: a clock was "
        + "ahead. It is taken back; the schedule goes on with {Next}.")]
    public static partial void TakenBack(ILogger logger, string name, DateTimeOffset noted, DateTimeOffset now, DateTimeOffset next);

    [LoggerMessage(131, LogLevel.Error, "Looking at the schedules failed; it is tried again in {Wait}.")]
    public static partial void SchedulesFailed(ILogger logger, Exception error, TimeSpan wait);

    [LoggerMessage(
        129,
        LogLevel.Warning,
        "The group '{Group}' of '{Topic}' waited for a message that is not there any more; it goes on. Cancel messages with IKvQueue, "
        + "not by deleting rows.")]
    public static partial void GroupRepaired(ILogger logger, string group, string topic);

    [LoggerMessage(
        350,
        LogLevel.Error,
        "The schedule '{Name}' could not enqueue its message; it is tried again in {Wait}. Other schedules go on.")]
    public static partial void ScheduleFailed(ILogger logger, Exception error, string name, TimeSpan wait);

    [LoggerMessage(
        351,
        LogLevel.Error,
        "The schedule '{Name}' stands still: the delegate that makes its message has not returned for {Waited}. Other schedules go on.")]
    public static partial void ScheduleWaits(ILogger logger, string name, TimeSpan waited);

    [LoggerMessage(352, LogLevel.Information, "The schedule '{Name}' goes on after {Failures} failures.")]
    public static partial void ScheduleGoesOn(ILogger logger, string name, int failures);

    [LoggerMessage(
        353,
        LogLevel.Warning,
        "What is noted of the schedule '{Name}' under {Key} cannot be read, so it begins anew with its next tick.")]
    public static partial void ScheduleUnreadable(ILogger logger, string name, string key);

    [LoggerMessage(
        358,
        LogLevel.Warning,
        "The schedule '{Name}' was made with IKvSchedules, and the application '{Application}' has one of that name in its code: it is that"
        + " one from now on.")]
    public static partial void ScheduleTakenOver(ILogger logger, string name, string application);

    [LoggerMessage(
        359,
        LogLevel.Warning,
        "The schedule '{Name}' is removed: no process of the application '{Application}' has had it in its code for {Time}.")]
    public static partial void ScheduleRemoved(ILogger logger, string name, string application, TimeSpan time);

    [LoggerMessage(360, LogLevel.Information, "The schedule '{Name}' was triggered at {At}; its message is enqueued.")]
    public static partial void Triggered(ILogger logger, string name, DateTimeOffset at);

    [LoggerMessage(
        354,
        LogLevel.Warning,
        "The topic '{Topic}' has had a message due for {Waiting}, this worker has no handler for it, and no other works on it. Register"
        + " a handler, or move the messages; a renamed message type leaves its former topic behind.")]
    public static partial void Unhandled(ILogger logger, string topic, TimeSpan waiting);

    [LoggerMessage(355, LogLevel.Warning, "Looking for topics without a handler failed; it is tried again.")]
    public static partial void LookFailed(ILogger logger, Exception error);

    /// <summary>Says of options that they have no effect, or not the whole one.</summary>
    /// <param name="logger">Where to.</param>
    /// <param name="idle">The topics that have options and no handler.</param>
    /// <param name="topics">The topics that are handled.</param>
    /// <param name="timeout">How long the worker gives its handlers when it stops.</param>
    /// <param name="hostTimeout">How long the host gives all that stops.</param>
    public static void WarnOfOptions(
        ILogger logger, IReadOnlyList<string> idle, IReadOnlyCollection<string> topics, TimeSpan timeout, TimeSpan hostTimeout)
    {
        foreach (var topic in idle)
        {
            OptionsOfNothing(logger, topic, topics.Count == 0 ? "none" : string.Join(", ", topics));
        }

        if (timeout > hostTimeout)
        {
            ShutdownIsCutShort(logger, timeout, hostTimeout);
        }
    }

    [LoggerMessage(
        356,
        LogLevel.Warning,
        "There are options for the topic '{Topic}' and no handler, so they apply to nothing here. Handled are: {Topics}.")]
    public static partial void OptionsOfNothing(ILogger logger, string topic, string topics);

    [LoggerMessage(
        357,
        LogLevel.Warning,
        "KvWorkerOptions.ShutdownTimeout is {Timeout}, and the host stops everything after HostOptions.ShutdownTimeout, {HostTimeout}. "
        + "Raise that of the host above the worker's, or lower the worker's.")]
    public static partial void ShutdownIsCutShort(ILogger logger, TimeSpan timeout, TimeSpan hostTimeout);

    [LoggerMessage(
        270,
        LogLevel.Warning,
        "The message type {Type} is handled under its full name, since it has no [KvMessage] attribute: when it is renamed or moved, no"
        + " handler takes those that wait. Give it one: [KvMessage(\"order-placed\")].")]
    public static partial void MessageUnnamed(ILogger logger, string type);

    [LoggerMessage(260, LogLevel.Error, "The row of message {Id} of '{Topic}' could not be taken ({Reason}); it is kept under {Key}.")]
    public static partial void SetAside(ILogger logger, string id, string topic, string reason, string key);

    [LoggerMessage(
        261,
        LogLevel.Warning,
        "The queue had rows with values that its columns must not have, so that no worker would ever have taken them; they are handled."
        + " Put messages in with IKvStore, not by SQL.")]
    public static partial void Mended(ILogger logger);

    [LoggerMessage(262, LogLevel.Error, "Setting aside rows that no worker can take failed; it is tried again.")]
    public static partial void SiftFailed(ILogger logger, Exception error);
}
