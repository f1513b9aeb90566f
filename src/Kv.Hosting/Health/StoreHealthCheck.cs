using System.Globalization;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Schema;
using Kv.Store;
using Kv.Worker;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Kv.Health;

/// <summary>
/// Whether the database answers and has the schema that this version wants, whether what calls of this process wrote was taken, whether the
/// worker and the schedules, if there are any, get on, and whether there are messages that get nowhere.
/// </summary>
internal sealed class StoreHealthCheck(KvStore store, QueueWatch queue, WorkerHealth? worker = null) : IHealthCheck
{
    /// <summary>What is said of a store that ends.</summary>
    public const string Stopping = "The store cannot be used: it is disposed of, or is about to be, because the application stops.";

    // As many are named; more make the text no better.
    private const int Named = 10;

    private static readonly TimeSpan DegradedFor = TimeSpan.FromSeconds(30);

    // While writes come, they tell by themselves; where none comes any more, a failure must not stay for ever.
    private static readonly TimeSpan ProbeAfter = TimeSpan.FromSeconds(10);

    /// <summary>How long a transaction may be open, on PostgreSQL, before it is told of.</summary>
    public TimeSpan LongTransaction { get; init; } = TimeSpan.FromMinutes(1);

    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Detached.RunAsync(() => LookAsync(context, cancellationToken));

    private async Task<HealthCheckResult> LookAsync(HealthCheckContext context, CancellationToken cancellationToken)
    {
        var health = store.Engine.Health;
        (string Text, bool Harms)? clock;
        List<string> troubles = [];
        Dictionary<string, object> data = new(StringComparer.Ordinal);
        try
        {
            await store.Engine.LookForLossAsync(cancellationToken).ConfigureAwait(false);

            // Not through the store's reader, which keeps trying for as long as its users would wait.
            var database = store.Engine.CreateContext();
            await using (database.ConfigureAwait(false))
            {
                await SchemaCheck.OpenCurrentAsync(database, store.Engine.Driver, cancellationToken).ConfigureAwait(false);
                var connection = database.Database.GetDbConnection();
                await LookAtVersionAsync(database, cancellationToken).ConfigureAwait(false);
                if (health.Damage is { } damage)
                {
                    if (await store.Engine.Driver.FindDamageAsync(connection, cancellationToken).ConfigureAwait(false) is { } found)
                    {
                        return new HealthCheckResult(context.Registration.FailureStatus, $"The database is damaged: {found}", damage);
                    }

                    health.Whole();
                }

                var looking = store.Engine.Driver.FindBurdenAsync(connection, LongTransaction, cancellationToken);
                if (await looking.ConfigureAwait(false) is { } burden)
                {
                    troubles.Add(burden);
                }

                clock = await ClockHealth.LookAsync(store.Engine.Clock, connection, data, cancellationToken).ConfigureAwait(false);
                if (clock is { Harms: true } wrong)
                {
                    troubles.Add(wrong.Text);
                }
            }
        }
        catch (ObjectDisposedException error)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, Stopping, error);
        }
        catch (Exception error) when (error is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            var isDamage = store.Engine.Driver.IsDamage(error);
            if (isDamage)
            {
                health.Damaged(error);
            }

            var what = isDamage ? "The database is damaged" : "The store cannot be used";
            return new HealthCheckResult(context.Registration.FailureStatus, $"{what}: {DatabaseErrors.Text(error)}", error);
        }

        if (store.Engine.Loss is { } loss)
        {
            return new HealthCheckResult(
                context.Registration.FailureStatus, $"{loss} When the file is as it should be, start the application anew.");
        }

        AddServers(troubles, data);
        AddSchedules(troubles, data);
        await AddMessagesAsync(troubles, data, cancellationToken).ConfigureAwait(false);
        var (failures, time, last) = worker?.Look(store.Engine.Clock.Time) ?? default;
        if (failures > 0)
        {
            var why = last is null ? "" : DatabaseErrors.Text(last);
            troubles.Insert(0, $"The worker failed {failures} times in a row, for {time.TotalSeconds:0} seconds: {why}");
        }

        if (await LookAtWritesAsync(health, cancellationToken).ConfigureAwait(false) is { } failing)
        {
            var since = store.Engine.Clock.Time.GetElapsedTime(failing.Since);
            troubles.Insert(0, $"Writes have failed for {since.TotalSeconds:0} seconds: {DatabaseErrors.Text(failing.Error)}");
            (time, last) = (since > time ? since : time, last ?? failing.Error);
        }

        var status = time < DegradedFor ? HealthStatus.Degraded : context.Registration.FailureStatus;
        return troubles.Count == 0
            ? HealthCheckResult.Healthy(clock?.Text, data)
            : new HealthCheckResult(status, string.Join(" ", troubles), last, data);
    }

    private static string Names(IReadOnlyCollection<string> names) =>
        string.Join(", ", names.Take(Named).Select(static n => $"'{n}'")) + (names.Count > Named ? $" and {names.Count - Named} more" : "");

    private void AddServers(List<string> troubles, Dictionary<string, object> data)
    {
        if (store.Engine.Health.WentBackTo is { } regress)
        {
            (data["wentBackFrom"], data["wentBackTo"]) = (regress.Known, regress.Found);
            troubles.Add(regress.Text);
        }

        if (store.Engine.Replica is { } replica)
        {
            data["replica"] = replica.Away is { } error ? $"away: {DatabaseErrors.Text(error)}" : "serves";
        }
    }

    private void AddSchedules(List<string> troubles, Dictionary<string, object> data)
    {
        if (worker?.FailingSchedules(store.Engine.Clock.Time) is not { Count: > 0 } schedules)
        {
            return;
        }

        data["failingSchedules"] = schedules.Select(static s => s.Name).ToArray();
        troubles.AddRange(schedules.Take(Named).Select(static s =>
            $"The schedule '{s.Name}' has failed for {s.For.TotalSeconds:0} seconds, {s.Failures} times in a row: {s.Error.Message}"));
        if (schedules.Count > Named)
        {
            troubles.Add($"{schedules.Count - Named} more schedules fail.");
        }
    }

    private async Task AddMessagesAsync(List<string> troubles, Dictionary<string, object> data, CancellationToken cancellationToken)
    {
        try
        {
            Add(
                "unhandledTopics",
                await queue.FindUnhandledAsync(cancellationToken).ConfigureAwait(false),
                " on topics that have no handler here and on which no other process works",
                "Start a worker that handles them, pause them, or cancel the messages.");
            Add(
                "lateTopics",
                await queue.FindLateAsync(cancellationToken).ConfigureAwait(false),
                " on topics that are handled here, of which nothing was claimed meanwhile",
                "Look whether handlers hang, or whether those of other topics take all the capacity.");
            Add(
                "oldTopics",
                await queue.FindOldAsync(cancellationToken).ConfigureAwait(false),
                ", longer than KvWorkerOptions.MaxAge, on these topics",
                "Run more workers, or raise the concurrency.");

            var (count, topics, areNew) = await queue.FindDeadLettersAsync(cancellationToken).ConfigureAwait(false);
            data["deadLetters"] = count;
            if (areNew)
            {
                var (least, of) = (count < QueueWatch.Most ? "" : "at least ", topics.Count > 0 ? $", of {Names(topics)}" : "");
                troubles.Add(
                    $"There are {least}{count} dead letters{of}. Look at them with IKvQueue.ListDeadLettersAsync; replay or delete them.");
            }
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested)
        {
            // The store answers, and a row that cannot be read is no outage of it.
            troubles.Add($"The queue could not be looked through: {error.Message}");
        }

        void Add(string name, IReadOnlyList<(string Topic, TimeSpan Waiting)> found, string where, string remedy)
        {
            if (found.Count > 0)
            {
                string[] names = [.. found.Select(static f => f.Topic)];
                data[name] = names;
                var longest = found.Max(static f => f.Waiting);
                troubles.Add($"Messages have been due for up to {longest.TotalSeconds:0} seconds{where}: {Names(names)}. {remedy}");
            }
        }
    }

    private async ValueTask LookAtVersionAsync(KvDbContext database, CancellationToken cancellationToken)
    {
        var before = store.Engine.Signals.Seen.Current.Seen;
        var driver = store.Engine.Driver;
        var found = await SchemaCheck.ReadAsync(database, driver, driver.Sql.Version, cancellationToken).ConfigureAwait(false);
        store.Engine.Signals.Seen.Look(before, Convert.ToInt64(found[0], CultureInfo.InvariantCulture));
    }

    private async ValueTask<StoreHealth.Failure?> LookAtWritesAsync(StoreHealth health, CancellationToken cancellationToken)
    {
        if (health.Writes is { } failing && store.Engine.Clock.Time.GetElapsedTime(failing.At) >= ProbeAfter)
        {
            await store.Engine.Runner.ProbeAsync(cancellationToken).ConfigureAwait(false);
        }

        return health.Writes;
    }
}
