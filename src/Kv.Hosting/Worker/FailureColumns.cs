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
            return JsonSerializer.Deserialize(text, WorkerJsonContext.Default.ListDouble)?.ConvertAll(static wait =>
                TimeSpan.FromMilliseconds(double.IsFinite(wait) ? Math.Clamp(wait, 0, LongestWait.TotalMilliseconds) : 0)) ?? [];
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public static string Format(IEnumerable<TimeSpan> backoff) =>
        JsonSerializer.Serialize([.. backoff.Select(static wait => (long)wait.TotalMilliseconds)], WorkerJsonContext.Default.ListInt64);

    /// <summary>The keys to write the message under; null if the column cannot be read or has a key that cannot be written.</summary>
    public static List<byte[]>? Keys(string text)
    {
        try
        {
            var keys = JsonSerializer.Deserialize(text, WorkerJsonContext.Default.ListListByte)?.ConvertAll(static key => key?.ToArray() ?? []) ?? [];
            return keys.TrueForAll(static key => key.Length is > 0 and <= KvLimits.MaxKeySize && KvKey.FromStored(key).IsDecodable) ? keys : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The write that moves a message from the queue to where undeliverable ones go.</summary>
    /// <param name="message">The message.</param>
    /// <param name="keys">The keys that it names.</param>
    /// <param name="letter">The dead letter; null if there is to be none.</param>
    /// <param name="prefix">Where dead letters are.</param>
    /// <param name="expiry">How long they are kept.</param>
    /// <returns>The write, and where the letter is, if there is one.</returns>
    public static (AtomicWrite Write, KvKey? Letter) MoveTo(ClaimedMessage message, IEnumerable<byte[]> keys, KvDeadLetter? letter, KvKey prefix, TimeSpan? expiry)
    {
        var write = new AtomicWrite { Acknowledges = message.Fence, Ends = message.Keys };
        write.Mutations.AddRange(keys.Select(key => new Mutation(MutationKind.Set, key) { Value = message.Data, Encoding = message.Encoding }));
        if (letter is null)
        {
            return (write, null);
        }

        // The id alone, where a topic makes the key too long.
        var name = prefix.Append(message.Topic, message.Fence.Id);
        name = name.Bytes.Length <= KvLimits.MaxKeySize ? name : prefix.Append(message.Fence.Id);
        write.Mutations.Add(new Mutation(MutationKind.Set, name.Bytes)
        {
            Value = DeadLetterFormat.Write(letter),
            Encoding = (int)KvEncoding.Json,
            ExpireIn = (long?)expiry?.TotalMilliseconds ?? -1,
        });
        return (write, name);
    }
}
