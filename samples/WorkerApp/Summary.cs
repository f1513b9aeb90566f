using Kv;

namespace WorkerApp;

/// <summary>Compares what is in the store with what the input says must be there.</summary>
internal sealed class Summary(IKvStore store, OrderInput input)
{
    private readonly ImportKeys _keys = new(input.Fingerprint);

    /// <summary>Prints how much there is, and tells whether store and input agree.</summary>
    public async Task<bool> PrintAsync(CancellationToken cancellationToken)
    {
        var expected = input.Orders.SelectMany(Effects)
            .AggregateBy(static effect => effect.Key, 0UL, static (sum, effect) => sum + effect.Cents).ToList();
        var differences = new List<string>();
        (string Name, KvKey Prefix)[] parts =
        [
            ("orders", _keys.Orders), ("receipts", _keys.ReceiptTexts), ("undelivered", _keys.Undelivered),
            ("days", _keys.DayTotals), ("customers", _keys.CustomerTotals), ("currencies", _keys.CurrencyTotals),
        ];
        Console.WriteLine($"\n{"",-12}{"store",12}{"input",12}");
        foreach (var (name, prefix) in parts)
        {
            var inInput = expected.Where(effect => effect.Key.StartsWith(prefix)).ToHashSet();
            var inStore = await store.ListAsync(KvRange.Prefix(prefix), null, cancellationToken)
                .Select(static entry => KeyValuePair.Create(entry.Key, entry.Key.StartsWith(["totals"]) ? entry.As<ulong>() : 0))
                .ToHashSetAsync(null, cancellationToken);
            Console.WriteLine($"{name,-12}{inStore.Count,12:N0}{inInput.Count,12:N0}");
            differences.AddRange(inStore.Except(inInput).Select(static only => $"Only in the store: {only}"));
            differences.AddRange(inInput.Except(inStore).Select(static only => $"Only in the input: {only}"));
        }

        Console.WriteLine();
        await foreach (var total in store.ListAsync(KvRange.Prefix(_keys.CurrencyTotals), null, cancellationToken))
        {
            Console.WriteLine($"{total.Key[^1].AsString(),-12}{total.As<ulong>() / 100m,24:N2}");
        }

        differences.Take(20).ToList().ForEach(Console.WriteLine);
        Console.WriteLine(differences.Count == 0
            ? "The summary agrees with the input."
            : $"The summary DISAGREES with the input in {differences.Count:N0} places.");
        return differences.Count == 0;
    }

    /// <summary>What an order must leave in the store: keys, with the cents that it adds to those that are totals.</summary>
    private (KvKey Key, ulong Cents)[] Effects(Order order)
    {
        var (day, cents) = (order.Day.ToString("O"), (ulong)order.Cents);
        return order.IsDeliverable()
            ?
            [
                (_keys.Orders.Append(day, order.Id), 0),
                (_keys.ReceiptTexts.Append(order.Id), 0),
                (_keys.DayTotals.Append(day, order.Currency), cents),
                (_keys.CustomerTotals.Append(order.Customer, order.Currency), cents),
                (_keys.CurrencyTotals.Append(order.Currency), cents),
            ]
            : [(_keys.Undelivered.Append(order.Id), 0)];
    }
}
