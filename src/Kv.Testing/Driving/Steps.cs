using Kv.Time;

namespace Kv.Driving;

/// <summary>
/// What a driver does, one step at a time: for a simulation, in which several hosts share a database and a clock, and a seed says which of
/// them goes on.
/// </summary>
/// <param name="clock">The clock, which the simulation moves.</param>
/// <param name="options">How patient it is.</param>
/// <param name="deliveries">What the workers have taken.</param>
/// <param name="all">The stores of the host, each with its worker.</param>
internal sealed class Steps(TestClock clock, KvTestOptions options, Deliveries deliveries, IReadOnlyList<Rounds> all)
{
    /// <summary>How many messages are taken whose handlers have not begun.</summary>
    public int Waiting => deliveries.Waiting;

    /// <summary>What is taken and has not ended.</summary>
    public IReadOnlyList<KvDelivery> Open => [.. deliveries.Open.Select(delivery => delivery.Describe(clock.GetUtcNow()))];

    /// <summary>Whether there is a worker.</summary>
    public bool HasWorker => all[0].Worker is not null;

    /// <summary>Runs one round of sweeper, schedules and worker: what is claimed waits for its turn.</summary>
    public async Task RoundAsync(CancellationToken cancellationToken)
    {
        clock.Owner = this;
        foreach (var rounds in all)
        {
            await rounds.RunAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Has the handler of one message begin, and waits until all are at rest.</summary>
    /// <param name="index">Which of those that wait, from 0.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task TurnAsync(int index, CancellationToken cancellationToken)
    {
        deliveries.GiveTurn(index);
        return RestAsync(cancellationToken);
    }

    /// <summary>Waits until each handler that has begun has ended or waits for the clock.</summary>
    public Task RestAsync(CancellationToken cancellationToken) => deliveries.RestAsync(options.Patience, cancellationToken);

    /// <summary>Extends the leases of what runs.</summary>
    public async Task BeatAsync()
    {
        foreach (var rounds in all)
        {
            await rounds.BeatAsync().ConfigureAwait(false);
        }
    }

    /// <summary>What has ended since the last time.</summary>
    public IReadOnlyList<KvDelivery> TakeEnded() =>
        [.. deliveries.TakeEnded().Select(delivery => delivery.Describe(clock.GetUtcNow()))];
}
