using Kv.Engine;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Kv.Worker;

/// <summary>Whether the database answers and has the schema that this version wants, and whether the worker, if there is one, gets on.</summary>
internal sealed class StoreHealthCheck(KvStore store, WorkerHealth? worker = null) : IHealthCheck
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <summary>How long a transaction may be open, on PostgreSQL, before it is told of.</summary>
    public TimeSpan LongTransaction { get; init; } = TimeSpan.FromMinutes(1);

    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        string? burden;
        (string Text, bool Harms)? clock;
        Dictionary<string, object> data = new(StringComparer.Ordinal);
        try
        {
            // Not through the store's reader, which keeps trying for as long as its users would wait.
            var database = store.Engine.CreateContext();
            await using (database.ConfigureAwait(false))
            {
                await SchemaCheck.OpenCurrentAsync(database, store.Engine.Dialect, cancellationToken).ConfigureAwait(false);
                burden = await store.Engine.Dialect.FindBurdenAsync(database.Database.GetDbConnection(), LongTransaction, cancellationToken).ConfigureAwait(false);
                clock = await ClockHealth.LookAsync(store.Engine.Clock, database.Database.GetDbConnection(), data, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception error) when (error is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, $"The store cannot be used: {error.Message}", error);
        }

        var (failures, time, last) = worker?.Look(store.Engine.Clock.Time) ?? default;
        var text = $"The worker failed {failures} times in a row, for {time.TotalSeconds:0} seconds: {last?.Message}";
        burden ??= clock is { Harms: true } wrong ? wrong.Text : null;
        return failures == 0 && burden is null ? HealthCheckResult.Healthy(clock?.Text, data)
            : failures == 0 ? HealthCheckResult.Degraded(burden, data: data)
            : time < Patience ? HealthCheckResult.Degraded(text, last, data)
            : new HealthCheckResult(context.Registration.FailureStatus, text, last, data);
    }
}
