using System.Data.Common;
using System.Diagnostics;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Maintenance;
using Kv.Reads;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace Kv.Engine;

/// <summary>Runs maintenance: on demand, and when the store's policy says so. One run at a time, on a connection of its own.</summary>
/// <param name="contexts">Makes contexts on the store's database.</param>
/// <param name="database">What the database needs.</param>
/// <param name="reader">Counts what has expired.</param>
/// <param name="sweeper">Deletes it.</param>
/// <param name="clock">The store's clock.</param>
/// <param name="options">The policy, and how often it is asked.</param>
/// <param name="logger">Where to say what the policy set off.</param>
internal sealed class Maintainer(
    Func<KvDbContext> contexts,
    DatabaseMaintenance database,
    StoreReader reader,
    ExpirySweeper sweeper,
    StoreClock clock,
    KvStoreOptions options,
    ILogger logger) : IDisposable
{
    private const int MostCounted = 1000;
    private readonly SemaphoreSlim _one = new(1, 1);
    private long? _ranAt;

    /// <summary>How much there is to do.</summary>
    public Task<KvMaintenanceState> StateAsync(CancellationToken cancellationToken) =>
        WithConnectionAsync(connection => StateAsync(connection, cancellationToken), cancellationToken);

    /// <summary>Does all of it.</summary>
    /// <param name="progress">Hears of each step when it is done.</param>
    /// <param name="cancellationToken">Stops after, or in, the step that runs.</param>
    public async Task<KvMaintenanceReport> RunAsync(IProgress<KvMaintenanceStep>? progress, CancellationToken cancellationToken)
    {
        await _one.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            return await WithConnectionAsync(
                connection => RunAsync(connection, progress, cancellationToken), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>Asks the policy from time to time, and runs when it says so.</summary>
    public async Task LoopAsync(CancellationToken cancellationToken)
    {
        if (options.Maintenance is not { } policy)
        {
            return;
        }

        // It outlives the call that opened the store.
        Detached.Enter();

        while (true)
        {
            try
            {
                await Task.Delay(options.MaintenanceInterval, clock.Time, cancellationToken).ConfigureAwait(false);
                if (policy.ShouldRun(await StateAsync(cancellationToken).ConfigureAwait(false)))
                {
                    Log(await RunAsync(progress: null, cancellationToken).ConfigureAwait(false));
                }
            }
            catch (Exception) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                KvLog.MaintenanceFailed(logger, StoreDisposed.LevelOf(error, LogLevel.Error), error, options.MaintenanceInterval);
            }
        }
    }

    public void Dispose() => _one.Dispose();

    private async Task<KvMaintenanceReport> RunAsync(
        DbConnection connection, IProgress<KvMaintenanceStep>? progress, CancellationToken cancellationToken)
    {
        var before = await StateAsync(connection, cancellationToken).ConfigureAwait(false);
        List<KvMaintenanceStep> steps = [];
        foreach (var work in (MaintenanceWork[])[new("expired", SweepAsync), .. database.Works])
        {
            var since = Stopwatch.GetTimestamp();
            var (done, problem) = await TryAsync(work, connection, cancellationToken).ConfigureAwait(false);
            steps.Add(new KvMaintenanceStep(work.Name, done, Stopwatch.GetElapsedTime(since), problem));
            progress?.Report(steps[^1]);
        }

        _ranAt = clock.Time.GetTimestamp();
        return new KvMaintenanceReport(steps, before, await StateAsync(connection, cancellationToken).ConfigureAwait(false));
    }

    // A step that is refused, for want of a right for example, keeps no other from being done.
    private static async Task<(long Done, string? Problem)> TryAsync(
        MaintenanceWork work, DbConnection connection, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            return await work.RunAsync(connection, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error) when (DatabaseErrors.IsOfDatabase(error) && !cancellationToken.IsCancellationRequested)
        {
            return (0, $"The database refused it: {error.Message}");
        }
    }

    private async Task<(long Done, string? Problem)> SweepAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        var (deleted, doubt) = await sweeper.DeleteAsync(cancellationToken).ConfigureAwait(false);
        return (deleted, doubt == TimeSpan.Zero
            ? null
            : $"The machine's clock was set forward, so nothing is deleted by it for {doubt.TotalMinutes:0.#} minutes.");
    }

    private async Task<KvMaintenanceState> StateAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        var state = await database.StateAsync(connection, cancellationToken).ConfigureAwait(false);
        var (now, next, _) = await reader.NextExpiryAsync(cancellationToken).ConfigureAwait(false);
        var expired = next <= now ? await reader.ExpiredAsync(MostCounted, now, cancellationToken).ConfigureAwait(false) : [];
        return state with
        {
            Expired = expired.Count,
            SinceLastRun = _ranAt is { } at ? clock.Time.GetElapsedTime(at) : null,
        };
    }

    // With nothing of the caller: a connection that is opened in a transaction of System.Transactions would be part of it.
    private Task<T> WithConnectionAsync<T>(Func<DbConnection, Task<T>> use, CancellationToken cancellationToken) =>
        Detached.RunAsync(async () =>
        {
            var context = contexts();
            await using (context.ConfigureAwait(false))
            {
                await context.Database.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
                return await use(context.Database.GetDbConnection()).ConfigureAwait(false);
            }
        });

    private void Log(KvMaintenanceReport report)
    {
        foreach (var step in report.Steps)
        {
            var level = step.Problem is null ? LogLevel.Information : LogLevel.Warning;
            KvLog.Maintained(logger, level, step.Name, step.Done, step.Took, step.Problem);
        }
    }
}
