using Kv;

namespace WorkerApp;

/// <summary>Compares what is in the store with what the input says must be there.</summary>
internal sealed class Summary(IKvStore store, ImportKeys keys, Expected expected)
{
    private readonly List<string> _differences = [];

    /// <summary>Prints the totals and the verdict.</summary>
    /// <returns>Whether store and input agree.</returns>
    public async Task<bool> PrintAsync(CancellationToken cancellationToken)
    {
        Console.WriteLine($"\n{"",-20}{"store",12}{"input",12}");
        await CompareCountAsync("orders", keys.Orders, expected.Delivered, cancellationToken);
        await CompareCountAsync("receipts", keys.ReceiptTexts, expected.Delivered, cancellationToken);
        await CompareCountAsync("customer totals", keys.CustomerTotals, expected.Customers.Count, cancellationToken);
        await CompareCountAsync("undelivered", keys.Undelivered, expected.Undelivered.Count, cancellationToken);
        Compare("counted", await store.GetAsync<long>(keys.Handled, cancellationToken), expected.Delivered);
        await CompareTotalsAsync(keys.CustomerTotals, expected.Customers, cancellationToken);
        var days = await CompareTotalsAsync(keys.DayTotals, expected.Days, cancellationToken);
        await foreach (var key in store.ListKeysAsync(KvRange.Prefix(keys.Undelivered), null, cancellationToken))
        {
            if (!expected.Undelivered.Contains(key[^1].AsInt64()))
            {
                _differences.Add($"Order {key[^1]} is undelivered without a reason.");
            }
        }

        PrintDays(days);
        Console.WriteLine($"\n{await store.GetAsync<long>(keys.Retried, cancellationToken):N0} orders took more than one attempt.");
        if (expected.Rejected > 0)
        {
            Console.WriteLine($"{expected.Rejected:N0} lines of the input are not orders and were left out.");
        }

        foreach (var difference in _differences.Take(20))
        {
            Console.WriteLine(difference);
        }

        Console.WriteLine(_differences.Count == 0
            ? "The summary agrees with the input."
            : $"The summary DISAGREES with the input in {_differences.Count:N0} places.");
        return _differences.Count == 0;
    }

    private static void PrintDays(Dictionary<(string Day, string Currency), ulong> totals)
    {
        Console.WriteLine($"\n{"day",-12}{string.Concat(Order.Currencies.Select(static currency => $"{currency,16}"))}");
        foreach (var day in totals.Keys.Select(static total => total.Day).Distinct().Take(31))
        {
            Console.WriteLine($"{day,-12}{string.Concat(Order.Currencies.Select(currency => $"{totals.GetValueOrDefault((day, currency)) / 100m,16:N2}"))}");
        }
    }

    private async Task CompareCountAsync(string name, KvKey prefix, long input, CancellationToken cancellationToken) =>
        Compare(name, await store.CountAsync(KvRange.Prefix(prefix), cancellationToken), input);

    private void Compare(string name, long stored, long input)
    {
        Console.WriteLine($"{name,-20}{stored,12:N0}{input,12:N0}");
        if (stored != input)
        {
            _differences.Add($"{name}: the store has {stored:N0}, the input {input:N0}.");
        }
    }

    private async Task<Dictionary<(string, string), ulong>> CompareTotalsAsync(
        KvKey prefix, Dictionary<(string, string), ulong> input, CancellationToken cancellationToken)
    {
        var stored = new Dictionary<(string, string), ulong>();
        await foreach (var entry in store.ListAsync(KvRange.Prefix(prefix), null, cancellationToken))
        {
            stored[(entry.Key[^2].AsString(), entry.Key[^1].AsString())] = entry.As<ulong>();
        }

        foreach (var total in stored.Keys.Union(input.Keys).Where(total => stored.GetValueOrDefault(total) != input.GetValueOrDefault(total)))
        {
            _differences.Add($"{total}: the store has {stored.GetValueOrDefault(total)} cents, the input {input.GetValueOrDefault(total)}.");
        }

        return stored;
    }
}
