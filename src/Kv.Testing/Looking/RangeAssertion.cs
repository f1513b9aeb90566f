using Kv.Store;

namespace Kv.Looking;

/// <summary>Compares the entries of a range with an ordered map.</summary>
internal static class RangeAssertion
{
    public static async Task CheckAsync<T>(
        KvStore store, KvRange range, IEnumerable<KeyValuePair<KvKey, T>> expected, CancellationToken cancellationToken)
    {
        SortedDictionary<KvKey, KvEntry> present = [];
        List<KvKey> order = [];
        await foreach (var entry in store.ListAsync(range, cancellationToken: cancellationToken).ConfigureAwait(false))
        {
            present[entry.Key] = entry;
            order.Add(entry.Key);
        }

        List<string> faults = [];
        var wanted = new SortedDictionary<KvKey, T>(expected.ToDictionary());
        foreach (var (key, value) in wanted)
        {
            if (!present.TryGetValue(key, out var entry))
            {
                faults.Add($"{key} is missing.");
            }
            else if (!Matches(store, entry, value))
            {
                faults.Add($"{key} is {StoreTexts.Of(entry.Value)}, and not {StoreTexts.Of(Stored(store, value))}.");
            }
        }

        faults.AddRange(present.Keys.Where(key => !wanted.ContainsKey(key)).Select(static key => $"{key} is there, and was not expected."));
        if (faults.Count == 0 && !order.SequenceEqual(wanted.Keys))
        {
            faults.Add("The keys are listed in another order than theirs.");
        }

        if (faults.Count > 0)
        {
            var lines = order.Select(key => $"{key} = {StoreTexts.Of(present[key].Value)}");
            throw new KvTestException(
                $"The range is not as expected:{QueueAssertions.Lines(faults)}\n"
                + (order.Count == 0 ? "The range is empty." : $"What is there:{QueueAssertions.Lines(lines)}"));
        }
    }

    private static bool Matches<T>(KvStore store, KvEntry entry, T value)
    {
        if (entry.Value.Equals(Stored(store, value)))
        {
            return true;
        }

        try
        {
            return EqualityComparer<T>.Default.Equals(entry.As<T>(), value);
        }
        catch (KvException)
        {
            // Something else is stored there.
            return false;
        }
    }

    private static KvValue Stored<T>(KvStore store, T value) => value as KvValue ?? store.Serializer.Serialize(value);
}
