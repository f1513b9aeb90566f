using Kv.Commits;
using Kv.Handling;
using Kv.Time;

namespace Kv.Driving;

/// <summary>The deliveries that are under way: told by the workers, waited for by the driver.</summary>
/// <param name="clock">The test's clock, which handlers may wait for.</param>
internal sealed class Deliveries(TestClock clock)
{
    private readonly Lock _gate = new();
    private readonly List<OpenDelivery> _open = [];
    private int _taken;

    /// <summary>How many messages were taken so far.</summary>
    public int Taken => Volatile.Read(ref _taken);

    /// <summary>Those that have not ended.</summary>
    public IReadOnlyList<OpenDelivery> Open
    {
        get
        {
            lock (_gate)
            {
                return [.. _open.Where(static delivery => !delivery.HasEnded)];
            }
        }
    }

    /// <summary>How many wait for their turn.</summary>
    public int Waiting
    {
        get
        {
            lock (_gate)
            {
                return _open.Count(IsWaiting);
            }
        }
    }

    /// <summary>A worker has taken a message.</summary>
    /// <returns>Done when it is the message's turn.</returns>
    public Task Claimed(HeldMessage held)
    {
        var delivery = new OpenDelivery(held, clock.GetUtcNow());
        lock (_gate)
        {
            _taken++;
            _open.Add(delivery);
        }

        return delivery.Turn.Task;
    }

    /// <summary>The process of the workers that have taken these is gone: their handlers stay where they are, for ever.</summary>
    public void Kill()
    {
        // The one whose handler asks for it comes last: with its end the driver goes on, and must find all others ended.
        var caller = clock.Owner;
        foreach (var delivery in Open.OrderBy(delivery => ReferenceEquals(delivery.Held, caller)))
        {
            clock.DropTimersOf(delivery.Held);
            delivery.Kill();
        }
    }

    /// <summary>A handler has committed a write.</summary>
    public void Note(HeldMessage held, AtomicWrite write)
    {
        lock (_gate)
        {
            _open.Find(delivery => delivery.Held == held)?.Note(write);
        }
    }

    /// <summary>Runs what was taken, one after the other, until each has ended or waits for the clock.</summary>
    /// <param name="patience">How long each may take, in real time.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="KvTestException">Handlers go on for longer.</exception>
    public async Task RunAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        await RestAsync(patience, cancellationToken).ConfigureAwait(false);
        while (NextTurn() is { } next)
        {
            next.Turn.SetResult();
            await RestAsync(patience, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Has the handler of one that waits begin.</summary>
    /// <param name="index">Which of them, from 0.</param>
    public void GiveTurn(int index)
    {
        OpenDelivery delivery;
        lock (_gate)
        {
            delivery = _open.Where(IsWaiting).ElementAt(index);
        }

        delivery.Turn.SetResult();
    }

    /// <summary>Middleware around all others: what the handler makes of timers is known as its.</summary>
    public async Task WatchAsync(KvMessageContext context, KvMessageDelegate next, CancellationToken cancellationToken)
    {
        clock.Owner = context.Held;
        await next(context, cancellationToken).ConfigureAwait(false);
    }

    private static bool IsWaiting(OpenDelivery delivery) => !delivery.Turn.Task.IsCompleted && !delivery.HasEnded;

    /// <summary>Waits until each delivery that has begun has ended or waits for the clock.</summary>
    public async Task RestAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        var since = TimeProvider.System.GetTimestamp();
        while (true)
        {
            // Asked for before the look, so that no timer which is armed meanwhile is missed.
            var changed = clock.WhenChanged;
            var busy = Open.Where(IsBusy).ToList();
            if (busy.Count == 0)
            {
                return;
            }

            var left = patience - TimeProvider.System.GetElapsedTime(since);
            var change = Task.WhenAny([changed, .. busy.Select(static delivery => delivery.Ended), .. busy.Select(Interrupting)]);
            try
            {
                await change.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, TimeProvider.System, cancellationToken)
                    .ConfigureAwait(false);
            }
            catch (TimeoutException error)
            {
                throw new KvTestException(TooLong(busy, patience), error);
            }
        }
    }

    /// <summary>Takes those that have ended out, in the order in which they were taken.</summary>
    public IReadOnlyList<OpenDelivery> TakeEnded()
    {
        lock (_gate)
        {
            List<OpenDelivery> ended = [.. _open.Where(static delivery => delivery.HasEnded)];
            _open.RemoveAll(ended.Contains);
            return ended;
        }
    }

    // A handler that was just asked to stop may not have heard of it.
    private bool IsBusy(OpenDelivery delivery) => delivery.Turn.Task.IsCompleted && !delivery.HasEnded
        && (!delivery.Held.Interrupting.IsCompleted || !clock.HasTimerOf(delivery.Held));

    private static Task Interrupting(OpenDelivery delivery) =>
        delivery.Held.Interrupting is { IsCompleted: false } interrupting ? interrupting : delivery.Ended;

    private OpenDelivery? NextTurn()
    {
        lock (_gate)
        {
            return _open.Find(IsWaiting);
        }
    }

    /// <summary>Takes one out, if it has ended.</summary>
    public OpenDelivery Take(string id)
    {
        lock (_gate)
        {
            var delivery = _open.Find(delivery => delivery.Held.Message.Fence.Id == id)!;
            if (delivery.HasEnded)
            {
                _open.Remove(delivery);
            }

            return delivery;
        }
    }

    private string TooLong(List<OpenDelivery> busy, TimeSpan patience)
    {
        var lines = busy.Select(delivery => $"\n  {delivery.Describe(clock.GetUtcNow())}");
        return $"Handlers still run after {patience} of real time (KvTestOptions.Patience), and none of these waits for the test's clock. "
            + "A handler that waits for time has to wait on the injected TimeProvider: Task.Delay(delay, time, token)."
            + string.Concat(lines);
    }
}
