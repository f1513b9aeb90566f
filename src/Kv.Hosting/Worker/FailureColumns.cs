using System.Text.Json;
using Kv.Engine;

namespace Kv.Worker;

/// <summary>What the columns of a message say about its failure: the waits that are left, and where it goes at the end.</summary>
internal static class FailureColumns
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromDays(365);

    /// <summary>The waits before further attempts; null if the column cannot be read.</summary>
    public static List<TimeSpan>? Backoff(string text)
    {
        try
        {
            // A JSON null stands for an empty list in files of Deno.
            return JsonSerializer.Deserialize<List<double>?>(text)?.ConvertAll(static wait =>
                TimeSpan.FromMilliseconds(double.IsFinite(wait) ? Math.Clamp(wait, 0, LongestWait.TotalMilliseconds) : 0)) ?? [];
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public static string Format(IEnumerable<TimeSpan> backoff) => JsonSerializer.Serialize(backoff.Select(static wait => (long)wait.TotalMilliseconds));

    /// <summary>The keys to write the message under; null if the column cannot be read or has a key that cannot be written.</summary>
    public static List<byte[]>? Keys(string text)
    {
        try
        {
            var keys = JsonSerializer.Deserialize<List<List<byte>?>?>(text)?.ConvertAll(static key => key?.ToArray() ?? []) ?? [];
            return keys.TrueForAll(static key => key.Length is > 0 and <= KvLimits.MaxKeySize && KvKey.FromStored(key).IsDecodable) ? keys : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Where a message goes that names no keys: under its topic and its id, or its id alone where a topic makes the key too long.</summary>
    public static byte[] DeadLetterKey(KvKey prefix, ClaimedMessage message)
    {
        var key = prefix.Append(message.Topic, message.Fence.Id).Encoded;
        return (key.Length <= KvLimits.MaxKeySize ? key : prefix.Append(message.Fence.Id).Encoded).ToArray();
    }

    /// <summary>The write that moves a message from the queue under its keys.</summary>
    public static AtomicWrite MoveTo(IEnumerable<byte[]> keys, ClaimedMessage message)
    {
        var write = new AtomicWrite { Acknowledges = message.Fence };
        write.Mutations.AddRange(keys.Select(key => new Mutation(MutationKind.Set, key) { Value = message.Data, Encoding = message.Encoding }));
        return write;
    }
}
