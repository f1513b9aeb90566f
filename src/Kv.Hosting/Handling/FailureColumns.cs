using System.Text.Json;
using Kv.Connections;
using Kv.Control;
using Kv.Engine;
using Kv.Messages;

namespace Kv.Handling;

/// <summary>What the columns of a message say about its failure: the waits that are left, and where it goes at the end.</summary>
internal static class FailureColumns
{
    /// <summary>The waits before further attempts, as many and as long as a message can be enqueued with; null if the column cannot be read.</summary>
    public static List<TimeSpan>? Backoff(string text)
    {
        try
        {
            // A JSON null stands for an empty list in files of Deno.
            return JsonSerializer.Deserialize(text, WorkerJsonContext.Default.ListDouble)?.Take(KvLimits.MaxBackoffIntervals).Select(static wait =>
                TimeSpan.FromMilliseconds(double.IsFinite(wait) ? Math.Clamp(wait, 0, KvLimits.MaxBackoffInterval.TotalMilliseconds) : 0)).ToList() ?? [];
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public static string Format(IEnumerable<TimeSpan> backoff) =>
        JsonSerializer.Serialize([.. backoff.Select(static wait => (long)wait.TotalMilliseconds)], WorkerJsonContext.Default.ListInt64);

    /// <summary>What is known of a message that cannot be delivered.</summary>
    public static KvDeadLetter Letter(ClaimedMessage message, UndeliveredKeys keys, KvMessageError? last, string reason, int attempts, DateTimeOffset now) =>
        new()
        {
            Id = message.Fence.Id,
            Topic = message.Topic,
            Type = message.Type,
            Payload = new KvValue(message.Data, (KvEncoding)message.Encoding),
            Reason = keys.Bad.Count == 0 ? reason : $"{reason} Of its keys these could not be written: {string.Join("; ", keys.Bad)}.",
            Attempts = attempts,
            Crashes = message.Crashes,
            FirstError = KvMessageError.FromJson(message.FirstError) ?? last,
            LastError = last,
            EnqueuedAt = KvMessageInfo.Time(message.EnqueuedAt),
            DiedAt = now,
            Priority = message.Priority,
            GroupKey = message.GroupKey,
            GroupLimit = message.GroupLimit,
            RateKey = message.RateKey,
            KeysIfUndelivered = keys.Named,
            Trace = message.Trace,
        };

    /// <summary>The write that moves a message from the queue to where undeliverable ones go.</summary>
    /// <param name="message">The message.</param>
    /// <param name="keys">The keys that it names.</param>
    /// <param name="letter">The dead letter; null if there is to be none.</param>
    /// <param name="engine">Says where dead letters are, and in what form.</param>
    /// <param name="expiry">How long they are kept.</param>
    /// <returns>The write, and where the letter is, if there is one.</returns>
    public static (AtomicWrite Write, KvKey? Letter) MoveTo(ClaimedMessage message, UndeliveredKeys keys, KvDeadLetter? letter, KvEngine engine, TimeSpan? expiry)
    {
        var write = new AtomicWrite { Acknowledges = message.Fence, Ends = message.Keys };
        write.Mutations.AddRange(keys.Good.Select(key => new Mutation(MutationKind.Set, key) { Value = message.Data, Encoding = message.Encoding }));
        if (letter is null)
        {
            return (write, null);
        }

        // The id alone, where a topic makes the key too long.
        var prefix = engine.Options.DeadLetters;
        var name = prefix.Append(message.Topic, message.Fence.Id);
        name = name.Bytes.Length <= KvLimits.MaxKeySize ? name : prefix.Append(message.Fence.Id);
        write.Mutations.Add(new Mutation(MutationKind.Set, name.Bytes)
        {
            Value = DeadLetterFormat.Write(letter),
            Encoding = (int)DeadLetterFormat.Encoding(engine),
            ExpireIn = (long?)expiry?.TotalMilliseconds ?? -1,
        });
        return (write, name);
    }
}
