namespace Kv;

/// <summary>How a worker takes and keeps messages.</summary>
public sealed class KvWorkerOptions
{
    /// <summary>
    /// Messages handled at the same time by this worker. Up to as many again may run for the moment in which their end is written.
    /// </summary>
    /// <value>Default: 10. From 1 to 1,000.</value>
    public int Concurrency { get; set; } = 10;

    /// <summary>
    /// How long a message belongs to this worker without a sign of life. Running messages are extended three times per lease; after a
    /// crash, others with capacity for it take the message over in about this time: it is asked for 95 % of it, and the rest is for them.
    /// </summary>
    /// <value>Default: 30 seconds. From 1 second to 1 hour.</value>
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How often running messages are extended.</summary>
    /// <value>Default: null, for a third of the shortest lease. At most half of it.</value>
    public TimeSpan? HeartbeatInterval { get; set; }

    /// <summary>
    /// How often the worker looks for messages of which it was not told. Those of this process, those of other processes where it hears of
    /// them (<see cref="KvStoreOptions.Notifications"/>), and due times that it knows, wake it at once.
    /// </summary>
    /// <value>
    /// Default: null, for 1 second while it does not hear of other processes, and 30 seconds, or the shortest lease if that is shorter,
    /// while it does. Otherwise from 10 milliseconds to 1 minute; set it where other programs insert messages by SQL of their own.
    /// </value>
    public TimeSpan? PollInterval { get; set; }

    /// <summary>
    /// How often the worker looks for messages whose lease has lapsed while there are others to claim. It looks before that when a lease
    /// lapses that it knew of at its last look, so this is for those that are shorter than its own.
    /// </summary>
    /// <value>Default: 5 seconds. From 10 milliseconds to 1 minute.</value>
    public TimeSpan RecoverInterval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How long running handlers may go on when the worker stops, before their tokens are cancelled and their messages are given back.
    /// </summary>
    /// <value>Default: 20 seconds; keep it below the host's own shutdown timeout (30 seconds): a greater one is warned of at start.</value>
    public TimeSpan ShutdownTimeout { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>
    /// How often a message may take its worker down (its lease lapses while it is handled) before it becomes a dead letter.
    /// </summary>
    /// <value>Default: 5.</value>
    public int MaxCrashes { get; set; } = 5;

    /// <summary>
    /// How long a message may have been due on a topic without a handler before it is told of: by a warning of the worker, once for each
    /// topic, and by the health check, which is degraded then. A topic is without a handler if this process has none, and no process has a
    /// message of it in work. Paused topics are left out.
    /// </summary>
    /// <value>Default: 1 minute. From 1 second to 1 day. It is looked for once a minute, and at each health check.</value>
    public TimeSpan UnhandledAfter { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>
    /// How long a message may have been due on a topic that this process handles, while the process has claimed none of the topic and no
    /// other one has any in work, before the health check is degraded: handlers hang, or others take all the capacity. Paused topics are
    /// left out.
    /// </summary>
    /// <value>Default: 5 minutes. From 1 second to 1 day. It is looked for at each health check.</value>
    public TimeSpan LateAfter { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>
    /// How old the first due message of a topic may be before the health check is degraded, whatever is done about it: the work comes
    /// faster than it is done. Paused topics are left out.
    /// </summary>
    /// <value>Default: null, for any age. Otherwise from 1 second to 365 days.</value>
    public TimeSpan? MaxAge { get; set; }

    /// <summary>
    /// How long the health check is degraded after a message has become a dead letter. Its data says how many there are for as long as
    /// there are some. A thousand of them, or one that cannot be read, degrade it for as long as they are there.
    /// </summary>
    /// <value>Default: 1 day. From zero, for never, to <see cref="TimeSpan.MaxValue"/>, for until they are replayed or deleted.</value>
    public TimeSpan DeadLettersFor { get; set; } = TimeSpan.FromDays(1);

    /// <summary>
    /// Whose schedules this process has in its code: one that was in the code of an application and is in that of none of its processes any
    /// more is removed after 10 minutes, by the other processes of the application.
    /// </summary>
    /// <value>Default: null, for the host's <c>IHostEnvironment.ApplicationName</c>. Otherwise 1 to 200 characters.</value>
    public string? ApplicationName { get; set; }
}
