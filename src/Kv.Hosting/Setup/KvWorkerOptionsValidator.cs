using Microsoft.Extensions.Options;

namespace Kv.Setup;

/// <summary>Refuses options that cannot work when the application starts, and says what would.</summary>
internal sealed class KvWorkerOptionsValidator(IEnumerable<WorkerRegistration> workers) : IValidateOptions<KvWorkerOptions>
{
    public ValidateOptionsResult Validate(string? name, KvWorkerOptions options)
    {
        List<string> failures = [];
        if (options.Concurrency is < 1 or > 1000)
        {
            failures.Add($"KvWorkerOptions.Concurrency is {options.Concurrency}; it must be 1 to 1000. For more, run more workers.");
        }

        if (options.MaxCrashes < 1)
        {
            failures.Add($"KvWorkerOptions.MaxCrashes is {options.MaxCrashes}; it must be at least 1.");
        }

        if (options.ApplicationName is { Length: 0 or > 200 })
        {
            failures.Add("KvWorkerOptions.ApplicationName must have 1 to 200 characters. Leave it out for the name that the host has.");
        }

        Between(options.Lease, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1), nameof(options.Lease));
        if (options.HeartbeatInterval is { } interval)
        {
            // One thread extends the leases of all topics, so the shortest of them sets the pace.
            var topics = workers.FirstOrDefault(w => w.Store == (name ?? ""))?.Handlers.Topics(options) ?? [];
            var shortest = topics.Select(static topic => topic.Lease).Append(options.Lease).Min();
            Between(interval, TimeSpan.FromMilliseconds(10), shortest / 2, nameof(options.HeartbeatInterval));
        }

        if (options.PollInterval is { } poll)
        {
            Between(poll, TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(1), nameof(options.PollInterval));
        }

        Between(options.RecoverInterval, TimeSpan.FromMilliseconds(10), TimeSpan.FromMinutes(1), nameof(options.RecoverInterval));
        Between(options.UnhandledAfter, TimeSpan.FromSeconds(1), TimeSpan.FromDays(1), nameof(options.UnhandledAfter));
        Between(options.LateAfter, TimeSpan.FromSeconds(1), TimeSpan.FromDays(1), nameof(options.LateAfter));
        Between(options.DeadLettersFor, TimeSpan.Zero, TimeSpan.MaxValue, nameof(options.DeadLettersFor));
        if (options.MaxAge is { } age)
        {
            Between(age, TimeSpan.FromSeconds(1), TimeSpan.FromDays(365), nameof(options.MaxAge));
        }

        Between(options.ShutdownTimeout, TimeSpan.Zero, TimeSpan.FromDays(1), nameof(options.ShutdownTimeout));
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);

        void Between(TimeSpan value, TimeSpan least, TimeSpan most, string option)
        {
            if (value < least || value > most)
            {
                failures.Add(
                    $"KvWorkerOptions.{option} is {value}; it must be {least} to {most}. Change it, or leave it out for the default.");
            }
        }
    }
}
