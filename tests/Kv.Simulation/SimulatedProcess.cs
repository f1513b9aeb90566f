using Kv.Time;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Simulated;

/// <summary>A process of the simulation: a store and a worker, and the faults that it meets.</summary>
internal sealed class SimulatedProcess(int number, SharedDatabase database, TestClock clock, Random random, Action<KvWorkerBuilder> app)
{
    private KvTestHost? _host;

    public int Number => number;

    public KvTestHost Host => _host ?? throw new InvalidOperationException("The process has not begun.");

    public async Task BeginAsync(CancellationToken cancellationToken) => _host = await KvTestHost.StartAsync(
        worker =>
        {
            worker.Services.Configure<KvWorkerOptions>(static options => (options.Lease, options.MaxCrashes) = (Simulation.Lease, 1000));
            app(worker);
        },
        database,
        options => (options.Clock, options.Random) = (clock, random),
        cancellationToken);

    /// <summary>Ends.</summary>
    public ValueTask EndAsync() => _host?.DisposeAsync() ?? default;

    /// <summary>Ends without a word to the database, and begins anew.</summary>
    public async Task CrashAsync(CancellationToken cancellationToken)
    {
        await Host.KillWorkerAsync(cancellationToken);
        await Host.DisposeAsync();
        await BeginAsync(cancellationToken);
    }
}
