using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text.Json;

namespace WorkerApp;

/// <summary>A line of the input: an order, or why it is none.</summary>
internal sealed record OrderLine(int Number, Order? Order, string? Defect);

/// <summary>The input: orders as JSON lines, and its fingerprint, by which a later start recognizes it.</summary>
internal sealed class OrderInput : IDisposable
{
    // A batch of the longest lines fits into one atomic write.
    private const int MaxLine = 1000;

    // Unknown, missing and repeated properties are refused: a misspelt "cents" must not become an order of 0.
    private static readonly JsonSerializerOptions Json =
        new(JsonSerializerOptions.Strict) { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    private readonly Stream _stream;

    private OrderInput(string name, Stream stream, string fingerprint) => (Name, _stream, Fingerprint) = (name, stream, fingerprint);

    public string Name { get; }

    public string Fingerprint { get; }

    /// <summary>Opens a file, or reads all of standard input if the path is <c>-</c>.</summary>
    public static async Task<OrderInput> OpenAsync(string path, CancellationToken cancellationToken)
    {
        Stream stream = path == "-" ? new MemoryStream() : File.OpenRead(path);
        if (path == "-")
        {
            await using var input = Console.OpenStandardInput();
            await input.CopyToAsync(stream, cancellationToken);
            stream.Position = 0;
        }

        var hash = await SHA256.HashDataAsync(stream, cancellationToken);
        return new OrderInput(path == "-" ? "standard input" : path, stream, Convert.ToHexStringLower(hash.AsSpan(0, 8)));
    }

    /// <summary>All lines but the empty ones. Every call reads the same lines.</summary>
    public async IAsyncEnumerable<OrderLine> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        _stream.Position = 0;
        using var reader = new StreamReader(_stream, leaveOpen: true);
        var seen = new HashSet<long>();
        for (var number = 1; await reader.ReadLineAsync(cancellationToken) is { } text; number++)
        {
            if (!string.IsNullOrWhiteSpace(text))
            {
                var (order, defect) = Parse(text);
                yield return order is null || seen.Add(order.Id)
                    ? new OrderLine(number, order, defect)
                    : new OrderLine(number, null, $"Order {order.Id} was there before.");
            }
        }
    }

    public void Dispose() => _stream.Dispose();

    private static (Order? Order, string? Defect) Parse(string text)
    {
        if (text.Length > MaxLine)
        {
            return (null, $"The line has {text.Length} characters; at most {MaxLine} are allowed.");
        }

        try
        {
            return JsonSerializer.Deserialize<Order>(text, Json) is { } order ? (order, null) : (null, "The line is null, not an order.");
        }
        catch (JsonException error)
        {
            // What follows names a place in a document; the line is what a reader looks for.
            return (null, error.Message.Split(" Path: ")[0] + (error.Path is null or "$" ? "" : $" It is about {error.Path}."));
        }
    }
}
