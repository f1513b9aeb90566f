using Kv.Commits;
using Kv.Handling;
using Kv.Messages;
using Kv.Store;
using Kv.Time;
using Kv.Worker;

namespace Kv.Driving;

/// <summary>Runs what is due, and moves the clock from one moment at which something is due to the next.</summary>
/// <param name="clock">The test's clock.</param>
/// <param name="options">How patient it is.</param>
/// <param name="deliveries">What the workers have taken.</param>
/// <param name="all">The stores of the container, each with its worker.</param>
internal sealed class Driver(TestClock clock, KvTestOptions options, Deliveries deliveries, IReadOnlyList<Rounds> all) : IDisposable
{
    private readonly SemaphoreSlim _one = new(1, 1);

    // What commits of the test's have run.
    private readonly List<KvDelivery> _inline = [];

    /// <summary>The same, one step at a time.</summary>
    public Steps Steps { get; } = new(clock, options, deliveries, all);

    /// <summary>When it runs what is due.</summary>
    public KvTestMode Mode { get; private set; }

    /// <summary>Says when it runs what is due.</summary>
    public void SetMode(KvTestMode value) => Mode = Enum.IsDefined(value) ? value : throw new ArgumentOutOfRangeException(
        nameof(value), value, $"{value} is no KvTestMode. Use Manual or Inline.");

    /// <summary>A write was committed, and its caller does not know yet.</summary>
    public async ValueTask WrittenAsync(AtomicWrite write)
    {
        if (clock.Owner is HeldMessage held)
        {
            deliveries.Note(held, write);
        }
        else if (clock.Owner is null && Mode == KvTestMode.Inline)
        {
            var ran = await DrainAsync(CancellationToken.None).ConfigureAwait(false);
            lock (_inline)
            {
                _inline.AddRange(ran.Deliveries.Where(static delivery => delivery.Outcome != KvOutcome.Running));
            }
        }
    }

    /// <summary>Has schedules begin: nothing else is due in a store that is empty.</summary>
    public async Task BeginAsync(CancellationToken cancellationToken)
    {
        clock.Owner = this;
        foreach (var rounds in all)
        {
            await rounds.RunSchedulesAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Runs what is due now, and what that enqueues.</summary>
    public Task<KvDrained> DrainAsync(CancellationToken cancellationToken) => AdvanceAsync(TimeSpan.Zero, cancellationToken);

    /// <summary>Moves the clock by a time, and runs all that becomes due on the way at its time.</summary>
    public async Task<KvDrained> AdvanceAsync(TimeSpan by, CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            clock.Owner = this;
            var ran = TakeInline();
            var end = clock.GetUtcNow() + by;
            foreach (var rounds in all)
            {
                // There may be news about what runs: a message that was cancelled.
                await rounds.BeatAsync().ConfigureAwait(false);
            }

            await SettleAsync(ran, cancellationToken).ConfigureAwait(false);
            while (clock.GetUtcNow() < end)
            {
                var next = await NextAsync(end, cancellationToken).ConfigureAwait(false);
                while (clock.Fire(next))
                {
                    // What one timer sets off comes before the next one of the same moment.
                    await deliveries.RunAsync(options.Patience, cancellationToken).ConfigureAwait(false);
                }

                await SettleAsync(ran, cancellationToken).ConfigureAwait(false);
            }

            ran.AddRange(deliveries.Open.Select(delivery => delivery.Describe(clock.GetUtcNow())));
            return new KvDrained(ran);
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>Ends the workers as the end of their process would.</summary>
    /// <returns>Done when they have ended; never for a handler of theirs, which ends with them.</returns>
    public async Task KillAsync(CancellationToken cancellationToken)
    {
        if (clock.Owner is HeldMessage)
        {
            Kill();
            await new TaskCompletionSource().Task.ConfigureAwait(false);
        }

        await _one.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            Kill();
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>Starts workers in the place of those that were killed.</summary>
    public async Task RestartAsync(CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            foreach (var rounds in all)
            {
                await rounds.RestartAsync(worker => worker.Claimed = deliveries.Claimed, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>Stops the workers that took the place of others.</summary>
    public async Task StopSuccessorsAsync(CancellationToken cancellationToken)
    {
        foreach (var worker in all.Select(static rounds => rounds.Successor).OfType<KvWorker>())
        {
            await worker.StopAsync(cancellationToken).ConfigureAwait(false);
            worker.Dispose();
        }
    }

    /// <summary>Has a worker handle one message, and nothing else.</summary>
    /// <param name="rounds">The store and its worker.</param>
    /// <param name="take">Puts the message into the queue and claims it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<KvDelivery> RunAsync(
        Rounds rounds, Func<Task<ClaimedMessage>> take, CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            clock.Owner = this;
            var message = await take().ConfigureAwait(false);
            rounds.Worker!.Claims.Give(message);
            await deliveries.RunAsync(options.Patience, cancellationToken).ConfigureAwait(false);
            return deliveries.Take(message.Fence.Id).Describe(clock.GetUtcNow());
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>What is driven of a store.</summary>
    public Rounds Of(KvStore store) => all.First(rounds => rounds.Store == store);

    public void Dispose() => _one.Dispose();

    private List<KvDelivery> TakeInline()
    {
        lock (_inline)
        {
            List<KvDelivery> ran = [.. _inline];
            _inline.Clear();
            return ran;
        }
    }

    private void Kill()
    {
        foreach (var rounds in all)
        {
            rounds.Kill();
        }

        deliveries.Kill();
    }

    private async Task<DateTimeOffset> NextAsync(DateTimeOffset end, CancellationToken cancellationToken)
    {
        var next = clock.NextTimer is { } timer && timer < end ? timer : end;
        foreach (var rounds in all)
        {
            foreach (var time in await rounds.NextAsync(cancellationToken).ConfigureAwait(false))
            {
                next = time < next ? time : next;
            }
        }

        return next;
    }

    /// <summary>Runs rounds until nothing is due and every handler has ended or waits for the clock.</summary>
    private async Task SettleAsync(List<KvDelivery> ran, CancellationToken cancellationToken)
    {
        var taken = deliveries.Taken;
        bool more;
        do
        {
            more = false;
            foreach (var rounds in all)
            {
                await rounds.BeatIfDueAsync().ConfigureAwait(false);
                more |= await rounds.RunAsync(cancellationToken).ConfigureAwait(false);
            }

            await deliveries.RunAsync(options.Patience, cancellationToken).ConfigureAwait(false);
            var ended = deliveries.TakeEnded();
            ran.AddRange(ended.Select(delivery => delivery.Describe(clock.GetUtcNow())));

            // The end of one may be what another waits for.
            more |= ended.Count > 0;
            if (deliveries.Taken - taken > options.MaxDeliveries)
            {
                throw new KvTestException(
                    $"More than {options.MaxDeliveries} messages were delivered at {Times.Text(clock.GetUtcNow())} of the test's clock: a "
                    + "handler may enqueue what it handles without a delay, or retry without one. Give it a delay, or raise "
                    + $"KvTestOptions.MaxDeliveries. The last ones:\n{string.Join('\n', ran.TakeLast(5).Select(static d => $"  {d}"))}");
            }
        }
        while (more);
    }
}
