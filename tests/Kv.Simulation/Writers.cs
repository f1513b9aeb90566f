using Kv.Diagnostics;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Simulated;

/// <summary>Callers that write, each through whatever process.</summary>
/// <param name="random">Chooses.</param>
/// <param name="writes">Makes the writes.</param>
/// <param name="model">Hears how they end.</param>
/// <param name="clock">The clock of all.</param>
/// <param name="say">Notes what happens.</param>
internal sealed class Writers(Random random, Writes writes, Model model, TimeProvider clock, Action<string> say)
{
    private const int Count = 3;

    // What each has read last; null for nothing since its last write.
    private readonly KvKey?[] _read = new KvKey?[Count];
    private readonly KvVersionstamp?[] _stamps = new KvVersionstamp?[Count];

    /// <summary>A writer reads.</summary>
    public async Task ReadAsync(SimulatedProcess process, CancellationToken cancellationToken)
    {
        var (writer, key) = (random.Next(Count), writes.NextKey());
        try
        {
            var entry = await process.Host.Store.GetAsync(key, cancellationToken);
            (_read[writer], _stamps[writer]) = (key, entry?.Versionstamp);
            say($"{process.Number}: writer {writer} reads {key}: {(entry is null ? "nothing" : World.Text(entry))}");
        }
        catch (KvException error) when (error.Kind == KvErrorKind.Unavailable)
        {
            say($"{process.Number}: writer {writer} cannot read {key}");
        }
    }

    /// <summary>A writer commits, with a check of what it has read.</summary>
    public async Task WriteAsync(SimulatedProcess process, CancellationToken cancellationToken)
    {
        var writer = random.Next(Count);
        var write = writes.Next(_read[writer], _stamps[writer]);
        _read[writer] = null;
        await CommitAsync(process, write, cancellationToken);
        say($"{process.Number}: writer {writer}: {write}");
    }

    private async Task CommitAsync(SimulatedProcess process, Write write, CancellationToken cancellationToken)
    {
        var atomic = process.Host.Store.Atomic();
        write.Build(atomic);
        await write.RunAsync(() => atomic.CommitAsync(cancellationToken).AsTask(), clock);
        model.Took(write);
    }

    /// <summary>Several writes reach a store together.</summary>
    /// <remarks>
    /// The first is held before its COMMIT until the others wait behind it, so that they share the next transaction in their order.
    /// </remarks>
    public async Task BurstAsync(SimulatedProcess process, CancellationToken cancellationToken)
    {
        var (reached, released) = (NewSource(), NewSource());
        var points = process.Host.Services.GetRequiredService<FailPoints>();
        points.OnHit = async point =>
        {
            if (point == FailPoints.BeforeCommit && reached.TrySetResult())
            {
                await released.Task;
            }
        };
        List<Write> all = [.. Enumerable.Range(0, 2 + random.Next(4)).Select(_ => writes.Next(null, null))];
        List<Task> commits = [];
        foreach (var write in all)
        {
            var atomic = process.Host.Store.Atomic();
            write.Build(atomic);
            commits.Add(write.RunAsync(() => atomic.CommitAsync(cancellationToken).AsTask(), clock));

            // One that fails before its COMMIT holds up none.
            await Task.WhenAny(reached.Task, commits[0]);
        }

        released.SetResult();
        await Task.WhenAll(commits);
        points.OnHit = null;
        all.ForEach(model.Took);
        say($"{process.Number}: burst of {string.Join("; ", all)}");
    }

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
