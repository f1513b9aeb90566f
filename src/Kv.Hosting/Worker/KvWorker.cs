using Kv.Changes;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Handling;
using Kv.Messages;
using Kv.Platform;
using Kv.Queue;
using Kv.Store;
using Kv.Topics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Kv.Worker;

/// <summary>The hosted service: takes due messages, as many as it has capacity for, and sees each through.</summary>
internal sealed class KvWorker : BackgroundService, IMessageConsumer, IAsyncDisposable
{
    private static readonly TimeSpan GracePeriod = TimeSpan.FromSeconds(2);
    private readonly RunningMessages _running;
    private readonly WorkerCapacity _capacity;
    private readonly Signal _wake = new();
    private readonly TaskCompletionSource _hurry = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly OwnerName _name = new();
    private readonly string _owner;
    private readonly KvStore _store;
    private readonly MessageQueue _queue;
    private readonly MessageRunner _runner;
    private readonly MessageEnding _ending;
    private readonly HandlerRegistry _handlers;
    private readonly IServiceScopeFactory _scopes;
    private readonly KvWorkerOptions _options;
    private readonly WorkerHealth _health;
    private readonly ILogger _logger;
    private readonly Dictionary<string, TopicSettings> _topics;
    private readonly Claims _claims;
    private readonly ClaimLoop _loop;
    private readonly QueueWatch _watch;
    private bool _hadRows;
    private readonly TimeSpan _hostTimeout;
    private readonly IReadOnlyList<string> _idleTopics;
    private volatile bool _drained;

    public KvWorker(
        KvStore store,
        HandlerRegistry handlers,
        IServiceScopeFactory scopes,
        KvWorkerOptions options,
        HostOptions host,
        WorkerHealth health,
        QueueWatch watch,
        ILoggerFactory loggers)
    {
        (_watch, _hostTimeout, _idleTopics) = (watch, host.ShutdownTimeout, [.. handlers.Idle]);
        (_store, _queue, _handlers, _scopes, _options, _health) = (store, store.Engine.Queue, handlers, scopes, options, health);
        _logger = new UnfailingLogger(loggers.CreateLogger("Kv.Worker"));
        _owner = _watch.Owner = _name.Text;
        var topics = handlers.Topics(_options).ToArray();
        _topics = topics.ToDictionary(static t => t.Topic, StringComparer.Ordinal);
        _capacity = new WorkerCapacity(topics, _options.Concurrency);
        _running = new RunningMessages(_capacity);
        var sifter = new StraySifter(store, topics, _options.RecoverInterval, _logger);
        _claims = new Claims(_queue, topics, _capacity, _owner, _options.Concurrency, sifter, Start, _wake.Set, _logger);
        _loop = new ClaimLoop(_queue, topics, _claims, new LeaseRecovery(_queue, topics, _options, _logger), sifter, _options);
        _ending = new MessageEnding(store, OnHandled, _logger);
        _runner = new MessageRunner(store, handlers, scopes, _options, _ending, _logger);
        Heartbeat = new Heartbeat(_running, _queue, _owner, _loop.ShortestLease, _options.HeartbeatInterval, _logger);
    }

    /// <summary>Where it takes messages from.</summary>
    public KvStore Store => _store;

    /// <summary>The name under which it claims messages.</summary>
    public string Owner => _owner;

    /// <summary>How it takes messages.</summary>
    public Claims Claims => _claims;

    /// <summary>The messages that run in this worker.</summary>
    public IReadOnlyCollection<HeldMessage> Running => [.. _running.All];

    /// <summary>How much of its capacity is taken.</summary>
    public int CapacityTaken => _capacity.Taken;

    public Heartbeat Heartbeat { get; }

    /// <summary>Told of each message that is claimed; the message is seen through when the task is done.</summary>
    public Func<HeldMessage, Task>? Claimed { get; set; }

    /// <summary>Done when the first round has succeeded.</summary>
    public Task HasBegun => _begun.Task;

    private TimeProvider Time => _queue.Time;

    /// <summary>Takes what is due and what there is capacity for.</summary>
    /// <returns>How long until there may be more, unless the worker is woken before.</returns>
    public async Task<TimeSpan> RunRoundAsync(CancellationToken cancellationToken)
    {
        await _store.Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        var wait = await _loop.RunRoundAsync(cancellationToken).ConfigureAwait(false);
        if (_loop.HasRows || _hadRows)
        {
            await _watch.WarnAsync(_logger, cancellationToken).ConfigureAwait(false);
        }

        _hadRows = _loop.HasRows;
        return wait;
    }

    /// <summary>Waits until all messages that run now have ended.</summary>
    public Task WhenIdleAsync() => Task.WhenAll(_running.All.Select(static h => h.Ended));

    /// <exception cref="InvalidOperationException">A handler needs a service that is not registered.</exception>
    public override Task StartAsync(CancellationToken cancellationToken)
    {
        using (var scope = _scopes.CreateScope())
        {
            _handlers.Needs.Check(scope.ServiceProvider);
        }

        return _store.Engine.FailPoints.IsStepped ? Task.CompletedTask : base.StartAsync(cancellationToken);
    }

    /// <summary>Stops claiming, and lets handlers finish: for the time of the options, or less if the host has less.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_store.Engine.FailPoints.IsStepped)
        {
            Hurry();
            await DrainAsync().ConfigureAwait(false);
            return;
        }

        // The host takes a first signal for the wish to stop, and any further one for nothing. Another one means that the wait is to end.
        using var signals = new StopSignals(Hurry);
        var hurry = cancellationToken.UnsafeRegister(static source => ((TaskCompletionSource)source!).TrySetResult(), _hurry);
        await using (hurry.ConfigureAwait(false))
        {
            await base.StopAsync(cancellationToken).ConfigureAwait(false);

            // The host disposes of the store next, and what still runs then could not be given back.
            await (ExecuteTask ?? Task.CompletedTask).WaitAsync(GracePeriod * 3, TimeProvider.System, CancellationToken.None)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Ends the time that handlers have to finish when the worker stops.</summary>
    public void Hurry() => _hurry.TrySetResult();

    /// <summary>Ends it as the end of its process would: nothing is given back, and no end is written.</summary>
    public void Kill()
    {
        _drained = true;
        _running.Kill();
        Heartbeat.Dispose();
        _name.Dispose();
    }

    /// <summary>For a container that is disposed of without its host having stopped: what runs is given back.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        Dispose();
    }

    public override void Dispose()
    {
        base.Dispose();
        if (ExecuteTask is null or { IsCompleted: true })
        {
            Heartbeat.Dispose();
            _name.Dispose();
        }
    }

    ClaimWork? IMessageConsumer.ShareCommit(IReadOnlyDictionary<string, int> coming) => _claims.ShareCommit(coming);

    void IMessageConsumer.OnMessagesDue() => _loop.MarkDue();

    void IMessageConsumer.OnMessagesQueued() => _wake.Set();

    void IMessageConsumer.OnCancelRequested() => Heartbeat.Hurry();

    void IMessageConsumer.OnListeningChanged() => _wake.Set();

    protected override Task ExecuteAsync(CancellationToken stoppingToken) => Detached.RunAsync(() => WorkAsync(stoppingToken));

    private async Task WorkAsync(CancellationToken stoppingToken)
    {
        WorkerLog.WarnOfOptions(_logger, _idleTopics, _topics.Keys, _options.ShutdownTimeout, _hostTimeout);
        if (_topics.Count == 0)
        {
            WorkerLog.NoHandlers(_logger);
            return;
        }

        foreach (var unnamed in _handlers.Unnamed)
        {
            WorkerLog.MessageUnnamed(_logger, unnamed);
        }

        WorkerLog.Started(_logger, _owner, string.Join(", ", _topics.Keys), _options.Concurrency);
        var attachment = _queue.Attach(this);
        Heartbeat.Start();
        var sampling = new QueueSampler(_store).RunAsync(stoppingToken);
        try
        {
            while (!stoppingToken.IsCancellationRequested)
            {
                var wait = await TryRoundAsync(stoppingToken).ConfigureAwait(false);
                if (wait > TimeSpan.Zero)
                {
                    await _wake.WaitAsync(wait, Time, stoppingToken).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping is what was asked for.
        }
        finally
        {
            attachment.Dispose();
            await _claims.CloseAsync(GracePeriod).ConfigureAwait(false);
            await DrainAsync().ConfigureAwait(false);
            Heartbeat.Dispose();
            await sampling.ConfigureAwait(false);
        }
    }

    // The loop outlives any error of the database, from its start on.
    private async Task<TimeSpan> TryRoundAsync(CancellationToken stoppingToken)
    {
        try
        {
            var wait = await RunRoundAsync(stoppingToken).ConfigureAwait(false);
            _health.Succeeded(nameof(KvWorker));
            _begun.TrySetResult();
            return wait;
        }
        catch (Exception error) when (!stoppingToken.IsCancellationRequested)
        {
            var wait = Backoff.AfterRounds(_health.Failed(nameof(KvWorker), error, Time));
            WorkerLog.RoundFailed(_logger, error, wait);
            return wait;
        }
    }

    private void Start(ClaimedMessage message, long claimedAt)
    {
        var held = new HeldMessage(message, _topics[message.Topic], _store, claimedAt);
        _running.Add(held);
        _store.Engine.Metrics.Consumed(message.Topic);
        _watch.Claimed(message.Topic);
        var turn = Claimed?.Invoke(held);
        Heartbeat.Claimed(held.Lease.SinceClaimed);

        // On the thread pool, since handlers may block, and claims must not; and with nothing of the caller that enqueued, whichever way
        // the message came.
        held.Ended = Detached.RunAsync(() => RunAsync(held, turn));
    }

    private void OnHandled(HeldMessage held)
    {
        _running.Handled(held);
        _claims.OnCapacity();
    }

    private async Task RunAsync(HeldMessage held, Task? turn)
    {
        await (turn ?? Task.CompletedTask).ConfigureAwait(false);
        await Heartbeat.UntilFreshAsync(held).ConfigureAwait(false);
        if (_drained)
        {
            // A claim whose answer comes when all is over.
            await GiveBackAsync(held).ConfigureAwait(false);
            return;
        }

        try
        {
            await _runner.RunAsync(held).ConfigureAwait(false);
            await held.DisposeAsync().ConfigureAwait(false);
        }
        catch (AggregateException error)
        {
            WorkerLog.InterruptFailed(_logger, error, held.Message.Fence.Id, held.Message.Topic);
        }
        catch (Exception error)
        {
            // A row that others wrote may be beyond what the runner foresees. It counts as a crash, so it does not come for ever.
            WorkerLog.RunFailed(_logger, error, held.Message.Fence.Id, held.Message.Topic);
        }
        finally
        {
            _running.Remove(held);
            _claims.OnCapacity();
        }
    }

    /// <summary>Lets handlers finish, then asks them to stop, then gives back what is left.</summary>
    private async Task DrainAsync()
    {
        if (_running.All.Any())
        {
            Task over = Task.WhenAny(WhenIdleAsync(), _hurry.Task);
            await over.WaitAsync(_options.ShutdownTimeout, Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        _drained = true;
        foreach (var held in _running.All)
        {
            held.Interrupt();
        }

        // What is left is code that runs, or a database that does not answer: no injected clock moves these.
        await TryWaitAsync(WhenIdleAsync()).ConfigureAwait(false);

        // What is part of a handler's open transaction is locked by it: waiting for it would hold up all that is given back.
        var left = _running.All.Where(static h => h is { State: HeldState.Running, Lease.IsLost: false }).ToList();
        await TryWaitAsync(Task.WhenAll(left.Select(GiveBackAsync))).ConfigureAwait(false);
        WorkerLog.Stopped(_logger, _owner, left.Count);

        static async Task TryWaitAsync(Task task) =>
            await task.WaitAsync(GracePeriod, TimeProvider.System).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task GiveBackAsync(HeldMessage held)
    {
        if (!held.TryRelease())
        {
            return;
        }

        try
        {
            await _ending.ReleaseAsync(held).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            WorkerLog.ReleaseFailed(_logger, error, held.Message.Fence.Id, held.Message.Topic);
        }
    }
}
