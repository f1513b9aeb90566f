namespace Kv.Store;

/// <summary>What the options of a message may say.</summary>
internal static class EnqueueRules
{
    /// <summary>Refuses what cannot work together, each with what would.</summary>
    public static void Validate(KvEnqueueOptions options)
    {
        var error = options switch
        {
            _ when options.Delay < TimeSpan.Zero || options.Delay > KvLimits.MaxDelay =>
                $"The delay is {options.Delay}; it must be zero to 30 days. For later, leave it out and set DueAt.",
            { DueAt: { } due } when options.Delay != TimeSpan.Zero =>
                $"The message is to be due at {due:O} and after a delay of {options.Delay}; leave one of them out.",
            { Priority: < -KvLimits.MaxPriority or > KvLimits.MaxPriority } =>
                $"The priority is {options.Priority}; it must be -{KvLimits.MaxPriority} to {KvLimits.MaxPriority}, "
                + "and lower ones come first.",
            { GroupKey: not null, ConcurrencyKey: not null } =>
                $"The message has the group key '{options.GroupKey}' and the concurrency key '{options.ConcurrencyKey}'; it can "
                + "have one of them. A group runs one at a time already: leave the concurrency key out.",
            { ConcurrencyLimit: < 1 or > KvLimits.MaxConcurrencyLimit } =>
                $"The concurrency limit is {options.ConcurrencyLimit}; it must be 1 to {KvLimits.MaxConcurrencyLimit}. "
                + "For no limit, leave the concurrency key out.",
            { ConcurrencyLimit: not 1, ConcurrencyKey: null } =>
                $"The message has a concurrency limit of {options.ConcurrencyLimit} and no concurrency key, so the "
                + "limit would apply to nothing. Name the key.",
            _ when options.UniqueFor < TimeSpan.Zero || options.UniqueFor > KvLimits.MaxDelay =>
                $"The message is to be unique for {options.UniqueFor}; it must be zero to 30 days.",
            _ when options.UniqueKey is null && (options.UniqueFor != TimeSpan.Zero || options.IfDuplicate != KvDuplicatePolicy.Keep) =>
                "The message says what to do about duplicates and has no unique key, so nothing is a duplicate of it. Name the key.",
            _ when !Enum.IsDefined(options.IfDuplicate) =>
                $"{options.IfDuplicate} is not a value of KvDuplicatePolicy. Use Keep, Replace or Refuse.",
            _ => null,
        };
        if (error is not null)
        {
            throw new ArgumentException(error, nameof(options));
        }
    }
}
