using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Kv.Engine;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Kv.Worker;

/// <summary>The hosted service: takes due messages, as many as it has room for, and sees each through.</summary>
internal sealed class KvWorker : BackgroundService, IAsyncDisposable
{
    private const long Day = 24 * 60 * 60 * 1000;
    private static readonly TimeSpan Blind = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Precaution = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan RepairInterval = TimeSpan.FromMinutes(1);

    // A probe or two for each; where there are more groups, the next look goes on from there.
    private const int GroupsOfALook = 10_000;
    private readonly ConcurrentDictionary<Fence, HeldMessage> _held = [];
    private readonly Signal _wake = new();
    private readonly TaskCompletionSource _hurry = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly string _owner = Guid.NewGuid().ToString("N");
    private readonly KvStore _store;
    private readonly MessageQueue _queue;
    private readonly MessageRunner _runner;
    private readonly KvWorkerOptions _options;
    private readonly WorkerHealth _health;
    private readonly SteadyClock _clock;
    private readonly ILogger _logger;
    private readonly TopicSettings[] _topics;
    private readonly TimeSpan _shortestLease;
    private long? _recoveredAt;
    private long? _lookedAt;
    private int _due;
    private long? _repairedAt;
    private IReadOnlyList<MessageGroup> _repairAfter;
    private int _nextTopic;

    public KvWorker(
        KvStore store, HandlerRegistry handlers, IServiceScopeFactory scopes, IOptions<KvWorkerOptions> options, WorkerHealth health, ILoggerFactory loggers)
    {
        (_store, _queue, _options, _health, _logger) = (store, store.Engine.Queue, options.Value, health, loggers.CreateLogger("Kv.Worker"));
        _topics = [.. handlers.Topics(_options)];
        _repairAfter = [.. _topics.Select(static t => new MessageGroup(t.Topic, ""))];
        _shortestLease = _topics.Select(static t => t.Lease).Append(_options.Lease).Min();
        _clock = new SteadyClock(_queue.Time, _topics.Select(static t => t.Lease).Append(_options.Lease).Max());
        _runner = new MessageRunner(store, handlers, scopes, _options, _logger);
        Heartbeat = new Heartbeat(_held, _queue, _owner, _shortestLease, _options.HeartbeatInterval, _logger);
    }

    /// <summary>The messages that this worker holds.</summary>
    public IReadOnlyCollection<HeldMessage> Held => [.. _held.Values];

    public Heartbeat Heartbeat { get; }

    /// <summary>Done when the first round has succeeded.</summary>
    public Task HasBegun => _begun.Task;

    private TimeProvider Time => _queue.Time;

    /// <summary>How long until it looks although nothing happened that it knows of.</summary>
    /// <remarks>
    /// Who is told of messages looks as a precaution. Of claims nobody tells, so it looks once per lease: that way it has seen the deadline of
    /// every message by the time it comes.
    /// </remarks>
    private TimeSpan PollInterval =>
        _options.PollInterval ?? (!_queue.Hears ? Blind : _shortestLease < Precaution ? _shortestLease : Precaution);

    /// <summary>Takes what is due and what there is room for.</summary>
    /// <returns>How long until there may be more, unless the worker is woken before.</returns>
    public async Task<TimeSpan> RunRoundAsync(CancellationToken cancellationToken)
    {
        await _store.Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        if (!_queue.ServerJudges && _clock.HasStepped())
        {
            WorkerLog.ClockStepped(_logger, _options.Lease);
        }

        await RepairAsync(cancellationToken).ConfigureAwait(false);
        var room = _options.Concurrency - _held.Count;
        var topics = room > 0 ? TopicsWithRoom(room) : [];
        if (topics.Count == 0)
        {
            return PollInterval;
        }

        // A look costs no write: an idle worker takes no lock and commits nothing. Who knows that something is due claims without one, but not
        // for ever, since a look sees what has lapsed as well.
        var isKnown = Interlocked.Exchange(ref _due, 0) == 1 && _lookedAt is { } at && Time.GetElapsedTime(at) < _options.RecoverInterval;
        var (recover, admit) = (false, false);
        if (!isKnown)
        {
            _lookedAt = Time.GetTimestamp();
            var (due, deferred, lapse) = await _queue.NextDueAsync(topics, cancellationToken).ConfigureAwait(false);
            var untilRecovery = UntilRecovery(lapse);
            (recover, admit) = (untilRecovery <= TimeSpan.Zero, deferred is <= 0);
            if (due is not <= 0 && !recover && !admit)
            {
                return Earliest(Milliseconds(due), Milliseconds(deferred), untilRecovery);
            }
        }

        // The lease counts from before the claim is sent, and so ends here no later than in the database.
        var sentAt = Time.GetTimestamp();
        _recoveredAt = recover ? sentAt : _recoveredAt;
        var claimed = await _queue.ClaimAsync(new ClaimWork(topics, room, _owner) { Recover = recover, Admit = admit }, cancellationToken).ConfigureAwait(false);
        foreach (var message in claimed)
        {
            Start(message, sentAt);
        }

        if (claimed.Count >= Math.Min(room, topics.Sum(static t => t.Room)))
        {
            // As many as asked for, so there are most likely more.
            MarkDue();
        }

        // Nothing: others are taking what is due, or hold it locked.
        return claimed.Count > 0 || recover || admit || isKnown ? TimeSpan.Zero : Earliest(FirstPause);
    }

    /// <summary>Waits until all messages that are held now have ended.</summary>
    public Task WhenIdleAsync() => Task.WhenAll(_held.Values.Select(static h => h.Running));

    /// <summary>Stops claiming, and lets handlers finish: for the time of the options, or less if the host has less.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        // The host takes a first signal for the wish to stop, and any further one for nothing. Who sends another does not want to wait.
        void OnSignal(PosixSignalContext signal)
        {
            signal.Cancel = true;
            Hurry();
        }

        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);
        var hurry = cancellationToken.UnsafeRegister(static source => ((TaskCompletionSource)source!).TrySetResult(), _hurry);
        await using (hurry.ConfigureAwait(false))
        {
            await base.StopAsync(cancellationToken).ConfigureAwait(false);

            // The host disposes of the store next, and what is still held then could not be given back.
            await (ExecuteTask ?? Task.CompletedTask).WaitAsync(LastWords * 3, TimeProvider.System, CancellationToken.None)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Ends the time that handlers have to finish when the worker stops.</summary>
    public void Hurry() => _hurry.TrySetResult();

    /// <summary>For a container that is disposed of without its host having stopped: what is held is given back.</summary>
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
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (_topics.Length == 0)
        {
            WorkerLog.NoHandlers(_logger);
            return;
        }

        WorkerLog.Started(_logger, _owner, string.Join(", ", _topics.Select(static t => t.Topic)), _options.Concurrency);
        using var listening = _queue.Listen();
        _queue.MessagesDue += MarkDue;
        _queue.MessagesQueued += _wake.Set;
        _queue.CancelRequested += Heartbeat.Hurry;
        _queue.HearsChanged += _wake.Set;
        Heartbeat.Start();
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
            _queue.MessagesDue -= MarkDue;
            _queue.MessagesQueued -= _wake.Set;
            _queue.CancelRequested -= Heartbeat.Hurry;
            _queue.HearsChanged -= _wake.Set;
            await DrainAsync().ConfigureAwait(false);
            Heartbeat.Dispose();
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
            var failures = _health.Failed(nameof(KvWorker), error, Time);
            var wait = FirstPause * Math.Pow(2, Math.Min(failures - 1, 10));
            wait = wait < LongestPause ? wait : LongestPause;
            WorkerLog.RoundFailed(_logger, error, wait);
            return wait;
        }
    }

    private void Start(ClaimedMessage message, long claimedAt)
    {
        var held = new HeldMessage(message, Array.Find(_topics, t => t.Topic == message.Topic)!, _store, claimedAt);
        _held[message.Fence] = held;
        held.Running = Task.Run(() => RunAsync(held));
    }

    private async Task RunAsync(HeldMessage held)
    {
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
            _held.TryRemove(new(held.Message.Fence, held));
            _wake.Set();
        }
    }

    /// <summary>Lets handlers finish, then asks them to stop, then gives back what is left.</summary>
    private async Task DrainAsync()
    {
        if (!_held.IsEmpty)
        {
            Task over = Task.WhenAny(WhenIdleAsync(), _hurry.Task);
            await over.WaitAsync(_options.ShutdownTimeout, Time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        foreach (var held in _held.Values)
        {
            held.Interrupt();
        }

        // What is left is code that runs, or a database that does not answer: no injected clock moves these.
        await TryWaitAsync(WhenIdleAsync()).ConfigureAwait(false);
        // What is part of a handler's open transaction is locked by it: who waited for it would hold up all that is given back.
        var left = _held.Values.Where(static h => h is { IsFinishing: false, IsLost: false, IsJoined: false }).ToList();
        await TryWaitAsync(Task.WhenAll(left.Select(GiveBackAsync))).ConfigureAwait(false);
        WorkerLog.Stopped(_logger, _owner, left.Count);

        static async Task TryWaitAsync(Task task) =>
            await task.WaitAsync(LastWords, TimeProvider.System).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task GiveBackAsync(HeldMessage held)
    {
        held.IsFinishing = held.IsReleased = true;
        try
        {
            await _runner.ReleaseAsync(held).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            WorkerLog.ReleaseFailed(_logger, error, held.Message.Fence.Id, held.Message.Topic);
        }
    }

    // Whoever deletes messages with SQL of their own may take a place away from a group, and then nobody would let the next one go.
    private void MarkDue() => Interlocked.Exchange(ref _due, 1);

    private async ValueTask RepairAsync(CancellationToken cancellationToken)
    {
        if (_repairedAt is { } at && Time.GetElapsedTime(at) < RepairInterval)
        {
            return;
        }

        _repairedAt = Time.GetTimestamp();
        (var found, _repairAfter) = await _queue.RepairAsync(_repairAfter, GroupsOfALook, cancellationToken).ConfigureAwait(false);
        foreach (var group in found)
        {
            WorkerLog.GroupRepaired(_logger, group.Key, group.Topic);
        }
    }

    // Another topic is first each time, so that one with a backlog does not starve the others.
    private List<TopicClaim> TopicsWithRoom(int room)
    {
        _nextTopic = (_nextTopic + 1) % _topics.Length;
        var held = _held.Keys.Count == 0 ? null : _held.Values.GroupBy(static h => h.Topic).ToDictionary(static g => g.Key, static g => g.Count());
        List<TopicClaim> topics = [];
        for (var i = 0; i < _topics.Length; i++)
        {
            var topic = _topics[(_nextTopic + i) % _topics.Length];
            if (Math.Min(room, topic.Concurrency - (held?.GetValueOrDefault(topic) ?? 0)) is > 0 and var left)
            {
                topics.Add(topic.Claim(left));
            }
        }

        return topics;
    }

    /// <summary>How long until lapsed messages are to be put back; null if none is held.</summary>
    private TimeSpan? UntilRecovery(long? lapse)
    {
        if (lapse is null)
        {
            return null;
        }

        if (!_queue.ServerJudges && !_clock.IsSteady)
        {
            return PollInterval;
        }

        var untilLapse = Milliseconds(lapse)!.Value;
        var untilTurn = _recoveredAt is { } at ? _options.RecoverInterval - Time.GetElapsedTime(at) : TimeSpan.Zero;
        return untilLapse > untilTurn ? untilLapse : untilTurn;
    }

    // Other programs have put in times that no TimeSpan can hold.
    private static TimeSpan? Milliseconds(long? milliseconds) => milliseconds is { } known ? TimeSpan.FromMilliseconds(Math.Clamp(known, -Day, Day)) : null;

    private TimeSpan Earliest(params ReadOnlySpan<TimeSpan?> waits)
    {
        var earliest = PollInterval;
        foreach (var wait in waits)
        {
            earliest = wait < earliest ? wait.Value : earliest;
        }

        return earliest;
    }
}
