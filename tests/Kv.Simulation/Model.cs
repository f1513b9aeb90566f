namespace Kv.Simulated;

/// <summary>What the store may do, and whether it does: the worlds that explain what callers were told, and the jobs.</summary>
internal sealed class Model
{
    private const int MostWorlds = 16;
    private readonly Queue<Write> _unresolved = new();
    private List<World> _worlds = [new World()];
    private List<Write> _step = [];
    private string? _fault;

    /// <summary>The worlds that are possible.</summary>
    public IReadOnlyList<World> Worlds => _worlds;

    /// <summary>What is known of the jobs.</summary>
    public Jobs Jobs { get; } = new(Simulation.Lease);

    /// <summary>Notes what is wrong; the first counts.</summary>
    /// <param name="fault">What; null for nothing.</param>
    public void Note(string? fault) => _fault ??= fault;

    /// <summary>A write of this step has ended, behind those before.</summary>
    public void Took(Write write)
    {
        _step.Add(write);
        if (write.Told == Answer.Unknown)
        {
            _unresolved.Enqueue(write);
        }
    }

    /// <summary>A write of unknown outcome that was not asked for yet.</summary>
    public bool TryUnresolved(out Write? write) => _unresolved.TryDequeue(out write);

    /// <summary>Compares what was observed after a step.</summary>
    /// <exception cref="SimulationFailedException">It may not be.</exception>
    public void Check(Observation observed, Watcher watcher, DateTimeOffset now)
    {
        var step = _step;
        _step = [];
        var worlds = _worlds.SelectMany(world => world.After(step)).Take(MostWorlds).ToList();
        if (worlds.Count == 0)
        {
            throw new SimulationFailedException($"no order of writes explains what the callers were told: {string.Join("; ", step)}");
        }

        var differences = worlds.ConvertAll(world => world.Compare(observed.Entries, now));
        _worlds = [.. worlds.Where((_, i) => differences[i] is null)];
        if (_worlds.Count == 0)
        {
            throw new SimulationFailedException(string.Join("; or ", differences));
        }

        foreach (var (number, times) in observed.Done.Where(static done => done.Value != 1))
        {
            Note($"job {number} took effect {times} times");
        }

        var faults = _worlds.ConvertAll(world => Jobs.Check(world.Jobs, observed.Present, observed.Undelivered, observed.Done.ContainsKey));
        Note(faults.Contains(null) ? null : faults[0]);
        Note(watcher.Check(_worlds));
        if (_fault is not null)
        {
            throw new SimulationFailedException(_fault);
        }
    }
}
