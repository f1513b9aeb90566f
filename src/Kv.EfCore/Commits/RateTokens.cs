using Kv.Messages;

namespace Kv.Commits;

/// <summary>Tokens of rates, whose buckets are entries of the store.</summary>
internal static class RateTokens
{
    /// <summary>
    /// Takes a token of each rate; or, where one has none to give, only a position in its line, so that no token is used up for
    /// nothing.
    /// </summary>
    /// <returns>How long to wait, in milliseconds.</returns>
    public static long Take(KeyOverlay keys, IReadOnlyList<RateRequest> rates, long now, long version, long versionOffset)
    {
        if (rates.Count == 0)
        {
            return 0;
        }

        var taken = rates.Select(rate =>
        {
            var stored = keys.Find(rate.Key) is { Live: true, Value: { } bytes } ? RateBucket.Read(bytes) : default;
            var (wait, after) = stored.Take(now * 1000, rate.Rule, rate.HasTime);
            return (rate.Key, Wait: wait, After: after);
        }).ToList();
        var longest = taken.Max(static t => t.Wait);
        foreach (var (key, wait, after) in taken)
        {
            if (longest == 0 || wait > 0)
            {
                // A bucket that is full says nothing that its absence would not.
                keys.Put(key, after.Write(), (int)KvEncoding.Bytes, (after.EndsAt / 1000) + 1000, version, versionOffset);
            }
        }

        return longest;
    }
}
