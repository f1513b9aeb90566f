using Kv.Connections;
using Kv.Diagnostics;
using Kv.Handling;
using Kv.Messages;
using Kv.Queue;
using Microsoft.Extensions.Logging;

namespace Kv.Worker;

/// <summary>Keeps the leases of running messages alive, three times per lease, and tells their handlers when one is lost.</summary>
/// <remarks>
/// On a thread and a connection of its own: handlers that block threads or take all pooled connections cannot hold it up.
/// </remarks>
internal sealed class Heartbeat : IDisposable
{
    private static readonly TimeSpan GracePeriod = TimeSpan.FromSeconds(5);
    private readonly RunningMessages _running;
    private readonly MessageQueue _queue;
    private readonly string _owner;
    private readonly TimeSpan _lease;
    private readonly TimeSpan _interval;
    private readonly ILogger _logger;
    private readonly Lock _beating = new();
    private readonly object _wake = new();
    private ITimer? _timer;
    private ITimer? _steps;
    private readonly Thread _thread;
    private readonly bool _injected;
    private LeaseKeeper? _keeper;
    private bool _due;
    private bool _stop;

    public Heartbeat(RunningMessages running, MessageQueue queue, string owner, TimeSpan lease, TimeSpan? interval, ILogger logger)
    {
        (_running, _queue, _owner, _lease, _logger) = (running, queue, owner, lease, logger);
        _interval = interval ?? lease / 3;
        _thread = new Thread(Run) { IsBackground = true, Name = "Kv heartbeat" };
        _injected = !ReferenceEquals(queue.Time, TimeProvider.System);
    }

    /// <summary>How often it beats.</summary>
    public TimeSpan Interval => _interval;

    /// <summary>Begins to beat. Until then it holds no timer: in a worker that was not started no message runs.</summary>
    public void Start()
    {
        // The system's timers run on the thread pool, which handlers may starve; the thread's own wait does not. So there the timer is but
        // a second watchdog, for a thread that hangs in the network. An injected clock needs one to wake the thread.
        var period = _injected ? _interval : _lease / 20;
        _timer = Detached.Run(() => _queue.Time.CreateTimer(_ => Tick(), null, period, period));

        // Deadlines that were written by a clock before it was set mean something else to workers that read them after that.
        if (!_queue.ServerJudges)
        {
            var clock = new ClockSteps(_queue.Time);
            _steps = Detached.Run(() => _queue.Time.CreateTimer(_ => HurryAfterStep(clock), null, _lease / 20, _lease / 20));
        }

        _thread.UnsafeStart();
    }

    /// <summary>Hears of a message that runs: a lease that is partly over when it is granted does not wait for the next beat.</summary>
    /// <param name="ago">How long ago its claim was sent.</param>
    public void Claimed(TimeSpan ago)
    {
        if (ago > _interval / 2)
        {
            Hurry();
        }
    }

    /// <summary>
    /// Waits until a handler may begin with its lease. One that began with little of it would lose it by a commit or a connection that
    /// takes a moment, and its message would be handled twice.
    /// </summary>
    public ValueTask UntilFreshAsync(HeldMessage message) => _thread.IsAlive ? message.UntilFreshAsync() : default;

    /// <summary>Does not wait for the next beat: there may be news about a message.</summary>
    public void Hurry() => Wake(stop: false);

    /// <summary>Extends what runs, once.</summary>
    /// <returns>Whether it was done.</returns>
    public bool Beat()
    {
        lock (_beating)
        {
            var running = _running.All.Where(static h => h.IsKept).ToList();
            var done = running.Count == 0 || TryExtend(running);
            LoseOutdated();
            return done;
        }
    }

    public void Dispose()
    {
        _timer?.Dispose();
        _steps?.Dispose();
        Wake(stop: true);

        // A thread that hangs in the network closes its connection by itself when it comes back.
        if (!_thread.IsAlive || _thread.Join(GracePeriod))
        {
            Close();
        }
    }

    private void Run()
    {
        var done = true;
        while (TryWait(_injected ? Timeout.InfiniteTimeSpan : done ? _interval : _lease / 20))
        {
            try
            {
                done = Beat();
            }
            catch (Exception error)
            {
                // Nothing may end this thread: an exception here would end the process.
                WorkerLog.HeartbeatFailed(_logger, error);
                done = false;
            }
        }

        Close();
    }

    private void Tick()
    {
        if (_injected)
        {
            Wake(stop: false);
        }
        else
        {
            LoseOutdated();
        }
    }

    private void HurryAfterStep(ClockSteps clock)
    {
        // Timers of the system may come beside one another.
        lock (clock)
        {
            if (clock.Look() == TimeSpan.Zero)
            {
                return;
            }
        }

        Hurry();
    }

    private void LoseOutdated()
    {
        foreach (var message in _running.All.Where(static h => h.IsKept && !h.Lease.IsTrusted))
        {
            message.Lose();
        }
    }

    private bool TryExtend(List<HeldMessage> running)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var sentAt = _queue.Time.GetTimestamp();
            try
            {
                _keeper ??= _queue.OpenLeaseKeeper();
                _queue.ReachExtension();
                var asked = running.Select(static h => (h.Message.Fence, h.Topic.ClaimDuration)).ToArray();
                return Tell(running, _keeper.Extend(asked, _owner), sentAt);
            }
            catch (Exception error)
                when (_keeper is not null && _keeper.IsBusy(error) && TimeProvider.System.GetElapsedTime(started) < _lease / 6)
            {
                // On SQLite a busy writer leaves the lock free for moments only, and rare looks never meet one.
                if (!TryWait(TimeSpan.FromMilliseconds(Random.Shared.Next(1, 6)), early: false))
                {
                    return false;
                }
            }
            catch (Exception error)
            {
                _keeper?.Blame(error);
                Close();
                WorkerLog.HeartbeatFailed(_logger, error);
                return false;
            }
        }
    }

    /// <returns>Whether all is said: a row that is locked is asked for again soon.</returns>
    private bool Tell(List<HeldMessage> running, Dictionary<Fence, LeaseAnswer> answers, long sentAt)
    {
        var all = true;
        foreach (var message in running)
        {
            if (!answers.TryGetValue(message.Message.Fence, out var answer))
            {
                if (message.State == HeldState.Running)
                {
                    message.Lose();
                }
            }
            else if (answer == LeaseAnswer.Locked)
            {
                // The end that this worker writes of it passes by itself.
                all &= message.IsLeaving;
            }
            else
            {
                message.Extend(sentAt);
                Report(message);
                if (answer == LeaseAnswer.Cancelled)
                {
                    message.Interrupt(InterruptReason.Cancelled);
                }
            }
        }

        return all;
    }

    // A handler that never ends keeps its message from all others for as long as this worker lives, and nothing else would tell of it.
    private void Report(HeldMessage held)
    {
        if (!held.IsLeaving && held.Lease.TryReport())
        {
            WorkerLog.StillRunning(_logger, held.Message.Fence.Id, held.Message.Type, held.Message.Topic, held.Lease.SinceClaimed);
        }
    }

    private void Close()
    {
        var keeper = Interlocked.Exchange(ref _keeper, null);
        try
        {
            keeper?.Dispose();
        }
        catch (Exception error) when (error is System.Data.Common.DbException or InvalidOperationException or IOException)
        {
            WorkerLog.HeartbeatFailed(_logger, error);
        }
    }

    private void Wake(bool stop)
    {
        lock (_wake)
        {
            _stop |= stop;
            _due = true;
            Monitor.PulseAll(_wake);
        }
    }

    /// <summary>Waits for the next beat.</summary>
    /// <param name="longest">How long at most.</param>
    /// <param name="early">Whether a beat that falls due ends the wait.</param>
    /// <returns>False when it is over.</returns>
    private bool TryWait(TimeSpan longest, bool early = true)
    {
        lock (_wake)
        {
            if (!_stop && !(early && _due))
            {
                Monitor.Wait(_wake, longest);
            }

            _due &= !early;
            return !_stop;
        }
    }
}
