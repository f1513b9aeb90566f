using Kv.Benchmarks.Systems;

namespace Kv.Benchmarks;

/// <summary>The process that measures: cases of one system, a line of JSON each.</summary>
public sealed class Measuring(Settings settings)
{
    private readonly string _system = settings.Systems?[0] ?? "efkv";

    public async Task RunAsync()
    {
        foreach (var @case in settings.Cases)
        {
            if (settings.SetUp && _system == "pgbench")
            {
                await new Pgbench(Database(@case), settings).SetUpAsync(@case.In.Rows);
            }
            else if (settings.SetUp)
            {
                await using var system = KeyValue(@case);
                await system.SetUpAsync(@case.In.Rows);
            }
            else
            {
                var result = await MeasureAsync(@case);
                Console.WriteLine(new Measurement(_system, @case.Operation, @case.In, result.PerSecond, result.Median, result.Slowest, result.Allocated).ToLine());
            }
        }
    }

    /// <summary>The processes that <see cref="ProcessLoad"/> starts beside itself.</summary>
    public Task AssistAsync(string verb) => verb == "produce" ? Processes().ProduceAsync() : Processes().HoldAsync();

    private async Task<Result> MeasureAsync(Case @case)
    {
        if (_system == "pgbench")
        {
            return await new Pgbench(Database(@case), settings).RunAsync(@case);
        }

        if (QueueLoad.Knows(@case.Operation))
        {
            await using var load = new QueueLoad(Queue(), settings);
            return await load.RunAsync(@case);
        }

        return @case.Operation switch
        {
            "outbox" => await OutboxAsync(Outbox(), @case, settings),
            "across" => await Processes().AcrossAsync(),
            "recovery" => await Processes().RecoveryAsync(),
            "idle" => await Processes().IdleAsync(),
            _ => await KeyValueAsync(@case),
        };
    }

    /// <summary>Asks a system how often it commits an entity and a message.</summary>
    public static async Task<Result> OutboxAsync(OutboxSystem system, Case @case, Settings settings)
    {
        await using (system)
        {
            await system.OpenAsync();
            return await Load.RunAsync(_ => system.SaveAsync(), @case.In.Callers, settings);
        }
    }

    private async Task<Result> KeyValueAsync(Case @case)
    {
        await using var system = KeyValue(@case);
        await system.OpenAsync();
        var operation = system.Operation(@case);
        if (@case.OnlyReads)
        {
            // As long as nothing was committed since its file was opened, SQLite asks the kernel for the file's size at every read.
            await system.SetAsync(0);
        }

        return await Load.RunAsync(operation, @case.In.Callers, settings);
    }

    private KeyValueSystem KeyValue(Case @case) => _system switch
    {
        "efkv" or Plan.Before => new EfKvSystem(Database(@case)),
        Plan.Changes => new EfKvSystem(Database(@case), recordsChanges: true),
        "raw" => new RawSystem(Database(@case)),
        "raw-per-core" => new RawSystem(Database(@case), Environment.ProcessorCount),
        "ef" => new PlainEfSystem(Database(@case)),
        _ => throw new ArgumentException($"There is no system '{_system}'. Use one of: {string.Join(", ", Plan.Systems.Keys)}."),
    };

    private QueueSystem Queue() => _system == "raw" ? new RawQueue(Queues()) : new EfKvQueue(Queues());

    private OutboxSystem Outbox() =>
        _system == "ef" ? new PlainEfOutbox(Queues()) : new EfKvOutbox(Queues(), handles: _system != Plan.Producer);

    private ProcessLoad Processes() => new(Queues(), settings, _system);

    private Target Database(Case @case) => new(settings.Databases[0], settings.Folder, Target.NameOf(_system, @case));

    private Target Queues() => new(settings.Databases[0], settings.Folder, $"{_system}-queue");
}
