using System.Collections.Concurrent;
using Kv.Engine;
using Microsoft.Extensions.Logging;

namespace Kv.Worker;

/// <summary>Keeps the leases of held messages alive, three times per lease, and tells their handlers when one is lost.</summary>
/// <remarks>On a thread and a connection of its own: handlers that block threads or take all pooled connections cannot hold it up.</remarks>
internal sealed class Heartbeat : IDisposable
{
    private readonly ConcurrentDictionary<string, HeldMessage> _held;
    private readonly MessageQueue _queue;
    private readonly string _owner;
    private readonly TimeSpan _lease;
    private readonly ILogger _logger;
    private readonly AutoResetEvent _wake = new(false);
    private readonly ITimer? _timer;
    private readonly Thread _thread;
    private LeaseKeeper? _keeper;
    private volatile bool _stop;

    public Heartbeat(ConcurrentDictionary<string, HeldMessage> held, MessageQueue queue, string owner, TimeSpan lease, ILogger logger)
    {
        (_held, _queue, _owner, _lease, _logger) = (held, queue, owner, lease, logger);

        // The system's timers run on the thread pool, which handlers may starve; the thread's own wait does not. An injected clock needs a timer.
        _timer = ReferenceEquals(queue.Time, TimeProvider.System) ? null : queue.Time.CreateTimer(_ => _wake.Set(), null, lease / 3, lease / 3);
        _thread = new Thread(Run) { IsBackground = true, Name = "Kv heartbeat" };
    }

    public void Start() => _thread.Start();

    /// <summary>Extends what is held, once.</summary>
    /// <returns>Whether it was done.</returns>
    public bool Beat()
    {
        var held = _held.Values.Where(static h => !h.IsFinishing && !h.IsLost).ToList();
        var done = held.Count == 0 || TryExtend(held);

        // Who cannot extend a lease must not believe in it to its last moment: others may take the message then.
        foreach (var message in held.Where(h => h.SinceLeased > _lease * 0.9))
        {
            message.Lose();
        }

        return done;
    }

    public void Dispose()
    {
        _stop = true;
        _wake.Set();
        if (_thread.IsAlive)
        {
            _thread.Join();
        }

        _timer?.Dispose();
        _keeper?.Dispose();
        _wake.Dispose();
    }

    private void Run()
    {
        var healthy = true;
        while (!_stop)
        {
            _wake.WaitOne(_timer is not null ? Timeout.InfiniteTimeSpan : healthy ? _lease / 3 : _lease / 20);
            if (!_stop)
            {
                healthy = Beat();
            }
        }
    }

    private bool TryExtend(List<HeldMessage> held)
    {
        var sentAt = _queue.Time.GetTimestamp();
        try
        {
            _keeper ??= _queue.OpenLeaseKeeper();
            var still = _keeper.Extend([.. held.Select(static h => h.Message.Fence)], _owner, _lease);
            foreach (var message in held)
            {
                if (still.Contains(message.Message.Fence))
                {
                    message.Extended(sentAt);
                }
                else if (!message.IsFinishing)
                {
                    message.Lose();
                }
            }

            return true;
        }
        catch (Exception error)
        {
            if (_keeper is null || !_keeper.IsBusy(error))
            {
                _keeper?.Dispose();
                _keeper = null;
                WorkerLog.HeartbeatFailed(_logger, error);
            }

            return false;
        }
    }
}
