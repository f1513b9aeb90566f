using System.Text.RegularExpressions;
using Microsoft.Extensions.Options;

namespace Kv.Setup;

/// <summary>Refuses options that cannot work when the application starts, and says what would.</summary>
internal sealed partial class KvStoreOptionsValidator : IValidateOptions<KvStoreOptions>
{
    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]{0,49}\\z", RegexOptions.CultureInvariant)]
    private static partial Regex Name();

    public ValidateOptionsResult Validate(string? name, KvStoreOptions options)
    {
        List<string> failures = [];
        AtLeast(options.MaxValueSize, 8, nameof(options.MaxValueSize));
        AtLeast(options.MaxMessageSize, 1, nameof(options.MaxMessageSize));
        AtLeast(options.MaxChecks, 1, nameof(options.MaxChecks));
        AtLeast(options.MaxMutations, 1, nameof(options.MaxMutations));
        Holds(options.MaxValueSize, nameof(options.MaxValueSize), "value");
        Holds(options.MaxMessageSize, nameof(options.MaxMessageSize), "message");
        AtLeast(options.MaxTotalKeySize, KvLimits.MaxKeySize, nameof(options.MaxTotalKeySize), " (the largest key)");
        AtLeast(options.MaxReadRanges, 1, nameof(options.MaxReadRanges));
        AtLeast(options.MaxReadEntries, 1, nameof(options.MaxReadEntries));
        AtLeast(options.MaxPendingWrites, 1, nameof(options.MaxPendingWrites));
        Positive(options.CommandTimeout, nameof(options.CommandTimeout));
        if (options.SnapshotTimeout < TimeSpan.FromSeconds(1) || options.SnapshotTimeout > TimeSpan.FromDays(1))
        {
            failures.Add(
                $"KvStoreOptions.SnapshotTimeout is {options.SnapshotTimeout}; it must be 1 second to 1 day. The database keeps for so long "
                + "what was overwritten meanwhile.");
        }

        if (options.MaintenanceInterval < TimeSpan.FromSeconds(1) || options.MaintenanceInterval > TimeSpan.FromDays(40))
        {
            failures.Add($"KvStoreOptions.MaintenanceInterval is {options.MaintenanceInterval}; it must be 1 second to 40 days.");
        }

        Positive(options.WatchInterval, nameof(options.WatchInterval));
        Positive(options.SweepInterval, nameof(options.SweepInterval));
        if (!Enum.IsDefined(options.Durability))
        {
            failures.Add($"KvStoreOptions.Durability is {options.Durability}; use Full or Relaxed.");
        }

        if (!Enum.IsDefined(options.Clock))
        {
            failures.Add($"KvStoreOptions.Clock is {options.Clock}; use Automatic, Server or Injected.");
        }

        if (options.DeadLetters is not { Count: > 0 })
        {
            failures.Add("KvStoreOptions.DeadLetterPrefix is empty; give it at least one part, such as [\"dead_letters\"].");
        }

        if (options.ReplicaConnectionString is { } replica && string.IsNullOrWhiteSpace(replica))
        {
            failures.Add("KvStoreOptions.ReplicaConnectionString is empty; say where the replica is, or leave it out.");
        }

        Named(options.Schema, nameof(options.Schema));
        Named(options.TablePrefix, nameof(options.TablePrefix));
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);

        void AtLeast(int value, int least, string option, string why = "")
        {
            if (value < least)
            {
                failures.Add($"KvStoreOptions.{option} is {value}; it must be at least {least}{why}. Raise it, or leave it out for the default.");
            }
        }

        void Named(string? value, string option)
        {
            if (value is not null && !Name().IsMatch(value))
            {
                failures.Add(
                    $"KvStoreOptions.{option} is '{value}'; it must be 1 to 50 letters, digits and underscores of ASCII, and not begin with a digit. "
                    + "Change it, or leave it out for the default.");
            }
        }

        void Holds(int size, string option, string what)
        {
            if (options.MaxTotalSize < size)
            {
                failures.Add(
                    $"KvStoreOptions.MaxTotalSize is {options.MaxTotalSize} and {option} is {size}, but a write must be able to hold one {what}. "
                    + $"Set MaxTotalSize to {size} at least, or {option} to {options.MaxTotalSize} at most; or leave MaxTotalSize out, and it follows.");
            }
        }

        void Positive(TimeSpan value, string option)
        {
            if (value <= TimeSpan.Zero || value > TimeSpan.FromDays(1))
            {
                failures.Add($"KvStoreOptions.{option} is {value}; it must be more than zero and at most a day. Change it, or leave it out for the default.");
            }
        }
    }
}
