using Kv.Store;
using Kv.Time;

namespace Kv.Simulated;

/// <summary>
/// Several processes on one database and one clock, of which a seed says what happens next: writes, claims, handlers, heartbeats, time that
/// passes, faults, and processes that die. What the database holds is compared with a model after each step.
/// </summary>
internal sealed class Simulation : IAsyncDisposable
{
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(10);
    private const int Processes = 3;
    private static readonly KvFault[] Faults = Enum.GetValues<KvFault>();
    private static readonly TimeSpan[] Moves =
        [.. new[] { 0.01, 1, 3, 8, 20 }.Select(static seconds => TimeSpan.FromSeconds(seconds))];

    private readonly Random _random;
    private readonly CancellationToken _token;
    private readonly SharedDatabase _database;
    private readonly TestClock _clock = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly List<SimulatedProcess> _processes = [];
    private readonly SimulatedProcess _observer;
    private readonly Writes _writes;
    private readonly Writers _writers;
    private readonly Model _model = new();
    private readonly List<string> _log = [];
    private Watcher? _watcher;
    private Observation? _observed;

    public Simulation(int seed, KvTestDatabase database, CancellationToken cancellationToken)
    {
        (_random, _token, _database) = (new Random(seed), cancellationToken, new SharedDatabase(database));
        _writes = new Writes(_random);
        _writers = new Writers(_random, _writes, _model, _clock, Say);
        for (var i = 0; i < Processes; i++)
        {
            var number = i;
            var handler = new JobHandler(i, _model, _writes, _clock, Say, token => _processes[number].Host.KillWorkerAsync(token));
            var random = new Random(_random.Next());
            _processes.Add(new SimulatedProcess(i, _database, _clock, random, app => app.Handle<Job>(handler.HandleAsync)));
        }

        _observer = new SimulatedProcess(Processes, _database, _clock, new Random(seed), static _ => { });
    }

    /// <summary>What happened, a line for each step.</summary>
    public IReadOnlyList<string> Log => _log;

    /// <summary>Runs some steps, and then lets all come to an end.</summary>
    /// <exception cref="SimulationFailedException">The store did what the model does not allow.</exception>
    public async Task RunAsync(int steps, bool tampers = false)
    {
        await _observer.BeginAsync(_token);
        foreach (var process in _processes)
        {
            await process.BeginAsync(_token);
        }

        _watcher = new Watcher(_observer.Host.Store, _clock, _token);
        for (var i = 0; i < steps; i++)
        {
            await StepAsync();
            if (tampers && i == steps / 2)
            {
                await _observer.Host.Store.SetAsync(["c", 0], "none of the model's", cancellationToken: _token);
            }

            await CheckAsync();
        }

        await EndAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_watcher is not null)
        {
            await _watcher.DisposeAsync();
        }

        foreach (var process in _processes.Append(_observer))
        {
            await process.EndAsync();
        }

        await _database.DisposeAsync();
    }

    private Task StepAsync()
    {
        var process = _processes[_random.Next(Processes)];
        return _random.Next(100) switch
        {
            < 12 => _writers.ReadAsync(process, _token),
            < 32 => _writers.WriteAsync(process, _token),
            < 37 => _writers.BurstAsync(process, _token),
            < 55 => RoundAsync(process),
            < 73 => TurnAsync(process),
            < 78 => BeatAsync(process),
            < 84 => MoveAsync(Moves[_random.Next(Moves.Length)]),
            < 87 => LagAsync(process),
            < 94 => FailAsync(process),
            < 96 => KillAsync(process),
            < 97 => CrashAsync(process),
            _ => ResolveAsync(process),
        };
    }

    private async Task RoundAsync(SimulatedProcess process)
    {
        var steps = process.Host.Steps;
        await steps.RoundAsync(_token);
        foreach (var open in steps.Open)
        {
            _model.Jobs.Held(process.Number, open.As<Job>()!.Number, open.At);
        }

        Say($"{process.Number}: round{string.Concat(steps.Open.Select(static open => $" {open.As<Job>()!.Number}"))}");
    }

    private async Task TurnAsync(SimulatedProcess process)
    {
        var steps = process.Host.Steps;
        if (steps.Waiting > 0)
        {
            await steps.TurnAsync(_random.Next(steps.Waiting), _token);
            Settle(process);
        }
    }

    private async Task BeatAsync(SimulatedProcess process)
    {
        var (steps, failed) = (process.Host.Steps, Failures());
        await steps.BeatAsync();
        if (Failures() == failed)
        {
            _model.Jobs.Extended(process.Number, _clock.GetUtcNow());
        }

        await steps.RestAsync(_token);
        Say($"{process.Number}: beat");
        Settle(process);

        int Failures() => process.Host.Faults.CountFailed(KvFault.Heartbeat) + process.Host.Faults.CountFailed(KvFault.Open);
    }

    private Task MoveAsync(TimeSpan by)
    {
        Say($"clock {by}");
        return PassAsync(by);
    }

    private async Task PassAsync(TimeSpan by)
    {
        var until = _clock.GetUtcNow() + by;
        while (_clock.Fire(until))
        {
            foreach (var process in _processes)
            {
                await process.Host.Steps.RestAsync(_token);
            }
        }

        _processes.ForEach(Settle);
    }

    // What a process holds goes to others while it stands still, and it goes on as if nothing had happened.
    private async Task LagAsync(SimulatedProcess process)
    {
        Say($"{process.Number}: lags");
        await MoveAsync(Lease + TimeSpan.FromSeconds(_random.Next(5)));
        foreach (var other in _processes.Where(other => other != process))
        {
            await RoundAsync(other);
            await RoundAsync(other);
        }
    }

    private Task FailAsync(SimulatedProcess process)
    {
        var (fault, n) = (Faults[_random.Next(Faults.Length)], 1 + _random.Next(3));
        if (_random.Next(2) == 0)
        {
            process.Host.Faults.FailNext(fault, n);
        }
        else
        {
            process.Host.Faults.FailNth(n, fault);
        }

        Say($"{process.Number}: {fault} {n}");
        return Task.CompletedTask;
    }

    private async Task KillAsync(SimulatedProcess process)
    {
        if (process.Host.Steps.HasWorker)
        {
            await process.Host.KillWorkerAsync(_token);
            Settle(process);
            _model.Jobs.Killed(process.Number);
        }
        else
        {
            await process.Host.StartWorkerAsync(_token);
        }

        Say($"{process.Number}: worker {(process.Host.Steps.HasWorker ? "starts" : "dies")}");
    }

    private async Task CrashAsync(SimulatedProcess process)
    {
        await process.CrashAsync(_token);
        _model.Jobs.Killed(process.Number);
        Say($"{process.Number}: crash");
    }

    // A later caller asks, in whatever process.
    private async Task ResolveAsync(SimulatedProcess process)
    {
        if (!_model.TryUnresolved(out var write))
        {
            return;
        }

        try
        {
            var stamp = await process.Host.Store.ResolveAsync(write!.OperationId, _token);
            Say($"{process.Number}: {write} is {(stamp is null ? "not there" : stamp)}");

            // The only fault by which an outcome stays unknown strikes behind the commit.
            _model.Note(stamp is null ? $"{write} was committed, and resolves to nothing" : null);
        }
        catch (KvException error) when (error.Kind == KvErrorKind.Unavailable)
        {
            Say($"{process.Number}: {write} cannot be resolved");
        }
    }

    private void Settle(SimulatedProcess process)
    {
        foreach (var delivery in process.Host.Steps.TakeEnded())
        {
            _model.Note(_model.Jobs.Ended(process.Number, delivery));
            Say($"{process.Number}: job {delivery.As<Job>()!.Number}: {delivery.Outcome}");
        }

        if (!process.Host.Steps.HasWorker)
        {
            _model.Jobs.Killed(process.Number);
        }
    }

    private async Task CheckAsync()
    {
        _observed = await Observation.MakeAsync((KvStore)_observer.Host.Store, _token);
        _model.Check(_observed, _watcher!, _clock.GetUtcNow());
    }

    /// <summary>Without further faults, what was enqueued comes to an end.</summary>
    private async Task EndAsync()
    {
        Say("end");
        _processes.ForEach(static process => process.Host.Faults.Clear());
        for (var i = 0; i < 60; i++)
        {
            var isIdle = true;
            foreach (var process in _processes)
            {
                // A handler may still end the process that it runs in.
                await process.Host.StartWorkerAsync(_token);
                await BeatAsync(process);
                await RoundAsync(process);
                isIdle &= process.Host.Steps.Open.Count == 0;
                while (process.Host.Steps.Waiting > 0)
                {
                    await TurnAsync(process);
                }
            }

            await MoveAsync(TimeSpan.FromSeconds(3));
            await CheckAsync();
            if (isIdle && _observed!.Present.Count == 0)
            {
                await _watcher!.EndAsync(_model.Worlds, PassAsync);
                return;
            }
        }

        throw new SimulationFailedException("messages are left, and nothing takes them");
    }

    private void Say(string line) => _log.Add($"{_clock.GetUtcNow():HH:mm:ss.fff} {line}");
}
