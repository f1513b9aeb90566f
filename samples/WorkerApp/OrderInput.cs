using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace WorkerApp;

/// <summary>The orders of an input of JSON lines.</summary>
/// <param name="Fingerprint">By which a later start, or another process, recognizes the same input.</param>
internal sealed record OrderInput(string Fingerprint, IReadOnlyList<Order> Orders)
{
    // Unknown, missing and repeated properties are refused: a misspelt "cents" must not become an order of 0.
    private static readonly JsonSerializerOptions Json =
        new(JsonSerializerOptions.Strict) { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    /// <summary>Reads a file, or standard input if the path is <c>-</c>, and names the lines that it leaves out.</summary>
    public static async Task<OrderInput> ReadAsync(string path, CancellationToken cancellationToken)
    {
        using var reader = new StreamReader(path == "-" ? Console.OpenStandardInput() : File.OpenRead(path));
        var text = await reader.ReadToEndAsync(cancellationToken);
        var fingerprint = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 8));
        var (orders, seen, rejected) = (new List<Order>(), new HashSet<long>(), 0);
        foreach (var (index, line) in text.Split('\n').Index().Where(static line => !string.IsNullOrWhiteSpace(line.Item)))
        {
            try
            {
                var order = JsonSerializer.Deserialize<Order>(line, Json) ?? throw new JsonException("It is null.");
                orders.Add(seen.Add(order.Id) ? order : throw new JsonException($"Order {order.Id} was there before."));
            }
            catch (JsonException error)
            {
                rejected++;
                // What follows the bar is a place in a document; the number of the line is what a reader looks for.
                Console.Error.WriteLine($"Line {index + 1:N0} is not an order and is left out: {error.Message.Split(" | ")[0]}");
            }
        }

        Console.WriteLine($"Import {fingerprint}: {orders.Count:N0} orders. {rejected:N0} lines of the input are not orders.");
        return new OrderInput(fingerprint, orders);
    }
}
