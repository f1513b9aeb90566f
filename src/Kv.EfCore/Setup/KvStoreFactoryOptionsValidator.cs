using Microsoft.Extensions.Options;

namespace Kv.Setup;

/// <summary>Refuses options of a factory that cannot work, and says what would.</summary>
internal sealed class KvStoreFactoryOptionsValidator : IValidateOptions<KvStoreFactoryOptions>
{
    public ValidateOptionsResult Validate(string? name, KvStoreFactoryOptions options)
    {
        List<string> failures = [];
        if (options.MaxOpen is < 1 or > 100_000)
        {
            failures.Add($"KvStoreFactoryOptions.MaxOpen is {options.MaxOpen}; it must be 1 to 100,000.");
        }

        Between(options.IdleTimeout, TimeSpan.FromSeconds(1), nameof(options.IdleTimeout));
        Between(options.RentTimeout, TimeSpan.Zero, nameof(options.RentTimeout));
        return failures.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(failures);

        void Between(TimeSpan value, TimeSpan least, string option)
        {
            if (value < least || value > TimeSpan.FromDays(1))
            {
                failures.Add(
                    $"KvStoreFactoryOptions.{option} is {value}; it must be {least} to a day. Change it, or leave it out for the default.");
            }
        }
    }
}
