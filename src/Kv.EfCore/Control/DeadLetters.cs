using System.Runtime.CompilerServices;
using Kv.Commits;
using Kv.Engine;
using Kv.Keys;
using Kv.Messages;
using Kv.Store;

namespace Kv.Control;

/// <summary>
/// Dead letters: entries of the store that say what is known of messages which could not be delivered. What a letter is, where it is, how a
/// message becomes one, and how it goes back into the queue.
/// </summary>
internal sealed class DeadLetters(KvStore store)
{
    private KvEngine Engine => store.Engine;

    /// <summary>What is known of a message that cannot be delivered.</summary>
    /// <param name="message">The message.</param>
    /// <param name="keys">The keys that it names.</param>
    /// <param name="last">Why its last attempt failed.</param>
    /// <param name="reason">Why it cannot be delivered.</param>
    /// <param name="failedAttempts">How many attempts have failed.</param>
    public KvDeadLetter Letter(
        ClaimedMessage message, KeysIfUndelivered keys, KvMessageError? last, string reason, int failedAttempts)
    {
        var scope = KeyScope.FromStored(message.Scope);
        return new KvDeadLetter
        {
            Id = message.Fence.Id,
            Topic = message.Topic,
            Type = message.Type,
            Payload = new KvValue(message.Data, (KvEncoding)message.Encoding),
            Reason = keys.Bad.Count == 0 ? reason : $"{reason} Of its keys these could not be written: {string.Join("; ", keys.Bad)}.",
            Attempts = failedAttempts,
            Crashes = message.Crashes,
            FirstError = MessageColumns.ReadError(message.FirstError) ?? last,
            LastError = last,
            EnqueuedAt = KvMessageInfo.Time(message.EnqueuedAt),
            DiedAt = Engine.Queue.UtcNow,
            Priority = message.Priority,
            GroupKey = scope.Out(message.GroupKey),
            GroupLimit = message.GroupLimit,
            RateKey = scope.Out(message.RateKey),
            Scope = scope.IsAll ? null : scope.Prefix,
            KeysIfUndelivered = keys.Named,
            Trace = message.Trace,
        };
    }

    /// <summary>The write that moves a message from the queue to the keys that it names, and makes a dead letter of it.</summary>
    /// <param name="message">The message.</param>
    /// <param name="keys">The keys that it names.</param>
    /// <param name="letter">The dead letter; null if there is to be none.</param>
    /// <param name="expiry">How long the letter is kept; null for ever.</param>
    /// <returns>The write, and where the letter is, if there is one.</returns>
    public (AtomicWrite Write, KvKey? Key) Move(ClaimedMessage message, KeysIfUndelivered keys, KvDeadLetter? letter, TimeSpan? expiry)
    {
        var write = new AtomicWrite { Acknowledges = message.Fence, Ends = message.Keys };
        write.Mutations.AddRange(
            keys.Good.Select(key => new Mutation(MutationKind.Set, key) { Value = message.Data, Encoding = message.Encoding }));
        if (letter is null)
        {
            return (write, null);
        }

        var key = KeyOf(letter);
        write.Mutations.Add(new Mutation(MutationKind.Set, key.Bytes)
        {
            Value = DeadLetterFormat.Write(letter),

            // A file that Deno made does not know JSON.
            Encoding = (int)(Engine.IsAdopted ? KvEncoding.Bytes : KvEncoding.Json),
            ExpireIn = (long?)expiry?.TotalMilliseconds ?? -1,
        });
        return (write, key);
    }

    /// <summary>The letters of a topic, or all of them.</summary>
    public async IAsyncEnumerable<KvDeadLetter> ListAsync(string? topic, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Topics that are longer than ours can be leave no room for an id in the key: their letters are under the id alone.
        var prefix = topic is null or { Length: > KvMessageAttribute.MaxLength }
            ? Engine.Options.DeadLetters
            : Engine.Options.DeadLetters.Append(topic);
        await foreach (var entry in store.ListAsync(KvRange.Prefix(prefix), null, cancellationToken).ConfigureAwait(false))
        {
            if (DeadLetterFormat.Read(entry) is { } letter && (topic is null || letter.Topic == topic))
            {
                yield return letter;
            }
        }
    }

    /// <summary>How many letters there are, up to a number, and of which topics, by their keys alone.</summary>
    public async Task<(int Count, IReadOnlyList<string> Topics)> CountAsync(int most, CancellationToken cancellationToken)
    {
        var prefix = Engine.Options.DeadLetters;
        var count = 0;
        SortedSet<string> topics = new(StringComparer.Ordinal);
        var keys = store.ListKeysAsync(KvRange.Prefix(prefix), new KvListOptions { Limit = most }, cancellationToken);
        await foreach (var key in keys.ConfigureAwait(false))
        {
            count++;
            if (key.Count == prefix.Count + 2 && key[prefix.Count].Type == KvKeyPartType.String)
            {
                topics.Add(key[prefix.Count].AsString());
            }
        }

        return (count, [.. topics]);
    }

    /// <summary>When the last of the first letters was written; null if there is none, or it cannot be read.</summary>
    public async Task<DateTimeOffset?> LastDiedAtAsync(int most, CancellationToken cancellationToken)
    {
        var range = KvRange.Prefix(Engine.Options.DeadLetters);
        var latest = await Engine.Reader.LatestKeyAsync(range.Start, range.End, most, cancellationToken).ConfigureAwait(false);
        var entry = latest is null ? null : await store.GetAsync(KvKey.FromEncoded(latest), cancellationToken).ConfigureAwait(false);
        return entry is null ? null : DeadLetterFormat.Read(entry)?.DiedAt;
    }

    /// <summary>Puts the message of a letter back into the queue, and deletes the letter.</summary>
    /// <returns>False if the letter is not there any more as it was read.</returns>
    public async ValueTask<bool> ReplayAsync(KvDeadLetter letter, CancellationToken cancellationToken)
    {
        var write = Deletion(letter);
        var scope = KeyScope.FromStored(letter.Scope?.Bytes);
        write.Messages.Add(new NewMessage(
            letter.Id,
            letter.Payload.Array,
            (int)letter.Payload.Encoding,
            letter.Topic,
            letter.Type,
            Delay: 0,
            MessageColumns.DefaultDelays,
            MessageColumns.WriteKeys([.. letter.KeysIfUndelivered.Select(static key => key.Bytes)]),
            letter.Trace)
        {
            Priority = letter.Priority,
            GroupKey = scope.In(letter.GroupKey),
            GroupLimit = letter.GroupLimit,
            RateKey = scope.In(letter.RateKey),
            Scope = scope.Stored,
            TopicRetries = true,
        });
        return (await store.CommitAsync(write, cancellationToken).ConfigureAwait(false)).Succeeded;
    }

    /// <summary>Deletes a letter.</summary>
    /// <returns>False if it is not there any more as it was read.</returns>
    public async ValueTask<bool> DeleteAsync(KvDeadLetter letter, CancellationToken cancellationToken) =>
        (await store.CommitAsync(Deletion(letter), cancellationToken).ConfigureAwait(false)).Succeeded;

    private KvKey KeyOf(KvDeadLetter letter)
    {
        // The id alone, where a topic makes the key too long.
        var prefix = Engine.Options.DeadLetters;
        var key = prefix.Append(letter.Topic, letter.Id);
        return key.Bytes.Length <= KvLimits.MaxKeySize ? key : prefix.Append(letter.Id);
    }

    // Only the letter as it was read: what was replayed, deleted, or written anew meanwhile is another's.
    private static AtomicWrite Deletion(KvDeadLetter letter)
    {
        ArgumentNullException.ThrowIfNull(letter);
        var entry = letter.Entry
            ?? throw new ArgumentException("The letter was not read from a store. Take it from ListDeadLettersAsync.", nameof(letter));
        var write = new AtomicWrite();
        write.Checks.Add(new Check(entry.Key.Bytes, entry.Versionstamp));
        write.Mutations.Add(new Mutation(MutationKind.Delete, entry.Key.Bytes));
        return write;
    }
}
