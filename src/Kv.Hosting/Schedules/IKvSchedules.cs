namespace Kv;

/// <summary>Adds, changes, removes, pauses and triggers schedules of a store while workers run, from any process.</summary>
/// <remarks>
/// A singleton, safe for concurrent use; <c>AddKvSchedules</c> and <c>AddKvWorker</c> register it, under a store's name for that store.
/// What is made here is kept in the store until it is removed here, with its message, and run by all workers of the store: it needs
/// nothing in their code but a handler. What workers have in their code (<c>KvWorkerBuilder.Schedule</c>) is listed, paused and triggered
/// here, and changed there. Workers hear of a change at once where they hear of commits, and else within 15 seconds.
/// </remarks>
public interface IKvSchedules
{
    /// <summary>Adds a schedule, or changes the one of that name.</summary>
    /// <remarks>
    /// Where the times have changed, it begins with the next tick after now; otherwise it goes on with the next one, with the new message.
    /// A pause stays.
    /// </remarks>
    /// <typeparam name="TMessage">What the message is passed as; the type that it has names it.</typeparam>
    /// <param name="name">What the ticks are counted under: 1 to 200 characters without control characters.</param>
    /// <param name="schedule">When.</param>
    /// <param name="message">The message of every tick, serialized now.</param>
    /// <param name="options">What happens to missed ticks, and how the messages are delivered.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>Whether there was none of that name.</returns>
    /// <exception cref="ArgumentException">
    /// The name cannot be one, no handler could be registered for the message's type, or something is over a limit.
    /// </exception>
    /// <exception cref="InvalidOperationException">An application that runs has a schedule of that name in its code.</exception>
    /// <exception cref="KvException">The message cannot be stored whole, or the database failed.</exception>
    ValueTask<bool> SetAsync<TMessage>(
        string name,
        KvSchedule schedule,
        TMessage message,
        KvScheduleOptions? options = null,
        CancellationToken cancellationToken = default);

    /// <summary>Changes when a schedule ticks, from now on, and leaves its message and its options as they are.</summary>
    /// <param name="name">The schedule.</param>
    /// <param name="schedule">When.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>False if there is none of that name.</returns>
    /// <exception cref="InvalidOperationException">An application that runs has it in its code.</exception>
    ValueTask<bool> ChangeAsync(string name, KvSchedule schedule, CancellationToken cancellationToken = default);

    /// <summary>Removes a schedule. Messages that it has enqueued stay.</summary>
    /// <param name="name">The schedule.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>False if there is none of that name.</returns>
    /// <exception cref="InvalidOperationException">
    /// An application that runs has it in its code, and would add it again: pause it.
    /// </exception>
    ValueTask<bool> RemoveAsync(string name, CancellationToken cancellationToken = default);

    /// <summary>Has the ticks of a schedule pass without a message, until <see cref="ResumeAsync"/>. It can be triggered.</summary>
    /// <param name="name">The schedule.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>False if there is none of that name.</returns>
    ValueTask<bool> PauseAsync(string name, CancellationToken cancellationToken = default);

    /// <summary>Has a paused schedule go on with its next tick after now; those that passed are not made up for.</summary>
    /// <param name="name">The schedule.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>False if there is none of that name.</returns>
    ValueTask<bool> ResumeAsync(string name, CancellationToken cancellationToken = default);

    /// <summary>Has a worker that has the schedule enqueue its message once more, now. Its ticks stay as they are.</summary>
    /// <remarks>It is noted in the store, and lost by no crash: the message comes when such a worker runs.</remarks>
    /// <param name="name">The schedule.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>False if there is none of that name.</returns>
    /// <exception cref="InvalidOperationException">It was triggered 100 times, and no worker has done it yet.</exception>
    ValueTask<bool> TriggerAsync(string name, CancellationToken cancellationToken = default);

    /// <summary>A schedule.</summary>
    /// <param name="name">The schedule.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>Null if there is none of that name.</returns>
    ValueTask<KvScheduleInfo?> FindAsync(string name, CancellationToken cancellationToken = default);

    /// <summary>All schedules, by name. One that no worker has run yet is not there.</summary>
    /// <param name="cancellationToken">Stops the listing.</param>
    IAsyncEnumerable<KvScheduleInfo> ListAsync(CancellationToken cancellationToken = default);
}
