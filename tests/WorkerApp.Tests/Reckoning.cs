using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests;

/// <summary>The totals of some orders: reckoned from their lines, without the sample's code, or read back from a store.</summary>
public sealed record Reckoning(
    SortedDictionary<string, ulong> Days, SortedDictionary<string, ulong> Customers, List<long> Orders, List<long> Receipts, List<long> Undelivered)
{
    private static readonly string[] Currencies = ["CHF", "EUR", "GBP", "USD"];

    public static Reckoning Of(IEnumerable<string> lines)
    {
        var reckoning = Empty();
        foreach (var line in lines)
        {
            var order = JsonDocument.Parse(line).RootElement;
            var (id, cents, currency) = (order.GetProperty("id").GetInt64(), order.GetProperty("cents").GetInt64(), order.GetProperty("currency").GetString()!);
            if (cents < 0 || !Currencies.Contains(currency))
            {
                reckoning.Undelivered.Add(id);
                continue;
            }

            reckoning.Orders.Add(id);
            reckoning.Receipts.Add(id);
            Add(reckoning.Days, $"{order.GetProperty("day").GetString()} {currency}", (ulong)cents);
            Add(reckoning.Customers, $"{order.GetProperty("customer").GetString()} {currency}", (ulong)cents);
        }

        return reckoning.Sorted();
    }

    /// <summary>What a store has of the import of a text.</summary>
    public static async Task<Reckoning> ReadAsync(KvDatabase database, string connection, string text)
    {
        var import = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 8));
        await using var services = new ServiceCollection().AddKvStore(db => database.Configure(db, connection)).BuildServiceProvider();
        var store = services.GetRequiredService<IKvStore>();
        var reckoning = Empty();
        await foreach (var entry in store.ListAsync(KvRange.Prefix(["totals", import])))
        {
            if (entry.Key[2].AsString() is "day" or "customer")
            {
                Add(
                    entry.Key[2].AsString() == "day" ? reckoning.Days : reckoning.Customers,
                    $"{entry.Key[3].AsString()} {entry.Key[4].AsString()}",
                    entry.As<ulong>());
            }
        }

        await ListAsync("orders", reckoning.Orders);
        await ListAsync("receipts", reckoning.Receipts);
        await ListAsync("undelivered", reckoning.Undelivered);
        return reckoning.Sorted();

        async Task ListAsync(string name, List<long> ids)
        {
            await foreach (var key in store.ListKeysAsync(KvRange.Prefix([name, import])))
            {
                ids.Add(key[^1].AsInt64());
            }
        }
    }

    private static Reckoning Empty() => new(new(StringComparer.Ordinal), new(StringComparer.Ordinal), [], [], []);

    private static void Add(SortedDictionary<string, ulong> totals, string key, ulong cents) =>
        totals[key] = totals.GetValueOrDefault(key) + cents;

    private Reckoning Sorted()
    {
        Orders.Sort();
        Receipts.Sort();
        Undelivered.Sort();
        return this;
    }
}
