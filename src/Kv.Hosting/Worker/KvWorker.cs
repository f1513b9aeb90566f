using System.Collections.Concurrent;
using Kv.Engine;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Kv.Worker;

/// <summary>The hosted service: takes due messages, as many as it has room for, and sees each through.</summary>
internal sealed class KvWorker : BackgroundService
{
    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(2);
    private readonly ConcurrentDictionary<string, HeldMessage> _held = new(StringComparer.Ordinal);
    private readonly Signal _wake = new();
    private readonly string _owner = Guid.NewGuid().ToString("N");
    private readonly KvStore _store;
    private readonly MessageQueue _queue;
    private readonly MessageRunner _runner;
    private readonly KvWorkerOptions _options;
    private readonly ILogger _logger;
    private readonly string[] _topics;
    private long? _recoveredAt;
    private int _nextTopic;

    public KvWorker(KvStore store, HandlerRegistry handlers, IServiceScopeFactory scopes, IOptions<KvWorkerOptions> options, ILoggerFactory loggers)
    {
        (_store, _queue, _options, _logger) = (store, store.Engine.Queue, options.Value, loggers.CreateLogger("Kv.Worker"));
        _topics = [.. handlers.Topics];
        _runner = new MessageRunner(store, _queue, handlers, scopes, _options, _logger);
    }

    /// <summary>The messages that this worker holds.</summary>
    public IReadOnlyCollection<HeldMessage> Held => [.. _held.Values];

    /// <summary>Takes what is due and what there is room for.</summary>
    /// <returns>How long until there may be more, unless the worker is woken before.</returns>
    public async Task<TimeSpan> RunRoundAsync(CancellationToken cancellationToken)
    {
        var room = _options.Concurrency - _held.Count;
        if (room <= 0)
        {
            return _options.PollInterval;
        }

        // A look costs no write: an idle worker takes no lock and commits nothing.
        var (due, lapse) = await _queue.NextDueAsync(_topics, cancellationToken).ConfigureAwait(false);
        var recover = lapse <= 0 && (_recoveredAt is null || _queue.Time.GetElapsedTime(_recoveredAt.Value) >= _options.RecoverInterval);
        if (due is not <= 0 && !recover)
        {
            return Next(due, lapse);
        }

        if (recover)
        {
            _recoveredAt = _queue.Time.GetTimestamp();
        }

        var claimed = await _queue.ClaimAsync(TopicsInTurn(), room, _owner, _options.Lease, recover, cancellationToken).ConfigureAwait(false);
        foreach (var message in claimed)
        {
            Start(message);
        }

        return claimed.Count == room ? _options.PollInterval : TimeSpan.Zero;
    }

    /// <summary>Waits until all messages that are held now have ended.</summary>
    public Task WhenIdleAsync() => Task.WhenAll(_held.Values.Select(static h => h.Running));

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_topics.Length == 0)
        {
            WorkerLog.NoHandlers(_logger);
            return;
        }

        await _store.Engine.OpenAsync(stoppingToken).ConfigureAwait(false);
        WorkerLog.Started(_logger, _owner, string.Join(", ", _topics), _options.Concurrency);
        _queue.MessagesQueued += _wake.Set;
        using var heartbeat = new Heartbeat(_held, _queue, _owner, _options.Lease, _logger);
        heartbeat.Start();
        try
        {
            while (!stoppingToken.IsCancellationRequested)
            {
                var wait = await TryRoundAsync(stoppingToken).ConfigureAwait(false);
                await _wake.WaitAsync(wait, _queue.Time, stoppingToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping is what was asked for.
        }
        finally
        {
            _queue.MessagesQueued -= _wake.Set;
            await DrainAsync().ConfigureAwait(false);
        }
    }

    // The loop outlives any error of the database.
    private async Task<TimeSpan> TryRoundAsync(CancellationToken stoppingToken)
    {
        try
        {
            return await RunRoundAsync(stoppingToken).ConfigureAwait(false);
        }
        catch (Exception error) when (!stoppingToken.IsCancellationRequested)
        {
            WorkerLog.RoundFailed(_logger, error, _options.PollInterval);
            return _options.PollInterval;
        }
    }

    private void Start(ClaimedMessage message)
    {
        var held = new HeldMessage(message, _queue, _queue.Time);
        _held[message.Fence.Id] = held;
        held.Running = Task.Run(() => RunAsync(held));
    }

    private async Task RunAsync(HeldMessage held)
    {
        try
        {
            await _runner.RunAsync(held).ConfigureAwait(false);
        }
        finally
        {
            _held.TryRemove(new(held.Message.Fence.Id, held));
            held.Dispose();
            _wake.Set();
        }
    }

    /// <summary>Lets handlers finish, then asks them to stop, then gives back what is left.</summary>
    private async Task DrainAsync()
    {
        await WaitAsync(_options.ShutdownTimeout).ConfigureAwait(false);
        foreach (var held in _held.Values)
        {
            held.Interrupt();
        }

        await WaitAsync(LastWords).ConfigureAwait(false);
        var left = _held.Values.Where(static h => !h.IsFinishing && !h.IsLost).ToList();
        foreach (var held in left)
        {
            await _runner.ReleaseAsync(held).ConfigureAwait(false);
        }

        WorkerLog.Stopped(_logger, _owner, left.Count);
    }

    private async Task WaitAsync(TimeSpan longest)
    {
        if (!_held.IsEmpty)
        {
            await WhenIdleAsync().WaitAsync(longest, _queue.Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    // Another topic is first each time, so that one with a backlog does not starve the others.
    private string[] TopicsInTurn()
    {
        _nextTopic = (_nextTopic + 1) % _topics.Length;
        return [.. _topics[_nextTopic..], .. _topics[.._nextTopic]];
    }

    private TimeSpan Next(long? due, long? lapse)
    {
        var wait = _options.PollInterval;
        foreach (var known in new[] { due, lapse })
        {
            if (known is > 0 && known < wait.TotalMilliseconds)
            {
                wait = TimeSpan.FromMilliseconds(known.Value);
            }
        }

        return wait;
    }
}
