namespace Kv;

/// <summary>
/// A message that could not be delivered, with what is known of its attempts. Read and replay it through <see cref="IKvQueue"/>.
/// </summary>
/// <remarks>It is an entry under <see cref="KvStoreOptions.DeadLetterPrefix"/>, the topic and the id; its value is JSON.</remarks>
public sealed record KvDeadLetter
{
    internal KvDeadLetter()
    {
    }

    /// <summary>The message's id, which it keeps when it is replayed.</summary>
    public required string Id { get; init; }

    /// <summary>The topic that it came by.</summary>
    public required string Topic { get; init; }

    /// <summary>The name of its type; empty if the program that enqueued it knows no names.</summary>
    public required string Type { get; init; }

    /// <summary>The payload as it was enqueued.</summary>
    public required KvValue Payload { get; init; }

    /// <summary>Why it could not be delivered.</summary>
    public required string Reason { get; init; }

    /// <summary>How many attempts failed.</summary>
    public int Attempts { get; init; }

    /// <summary>How many leases ended without a word from their worker.</summary>
    public int Crashes { get; init; }

    /// <summary>The error of the first attempt that failed.</summary>
    public KvMessageError? FirstError { get; init; }

    /// <summary>The error of the last attempt that failed.</summary>
    public KvMessageError? LastError { get; init; }

    /// <summary>When it was enqueued.</summary>
    public DateTimeOffset EnqueuedAt { get; init; }

    /// <summary>When it became a dead letter.</summary>
    public DateTimeOffset DiedAt { get; init; }

    /// <summary>Its priority.</summary>
    public int Priority { get; init; }

    /// <summary>Its group or concurrency key.</summary>
    public string? GroupKey { get; init; }

    /// <summary>How many of its group may run at the same time; 0 for one at a time in order.</summary>
    public int GroupLimit { get; init; }

    /// <summary>Its rate key.</summary>
    public string? RateKey { get; init; }

    /// <summary>The prefix of the scope that it was enqueued in; null for none.</summary>
    public KvKey? Scope { get; init; }

    /// <summary>The keys that its payload was written under as well, with the prefix of its scope.</summary>
    public IReadOnlyList<KvKey> KeysIfUndelivered { get; init; } = [];

    /// <summary>The W3C traceparent of the code that enqueued it.</summary>
    public string? Trace { get; init; }

    /// <summary>The entry that holds it, once it is read from the store.</summary>
    internal KvEntry? Entry { get; init; }

    /// <summary>Reads the payload with the serializer of the store.</summary>
    /// <typeparam name="T">The type of the message.</typeparam>
    /// <exception cref="KvException">The payload cannot be read as <typeparamref name="T"/>.</exception>
    public T? As<T>() => Entry is { } entry ? entry.With(Payload).As<T>() : default;
}
