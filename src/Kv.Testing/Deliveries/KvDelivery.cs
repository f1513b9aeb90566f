using System.Globalization;

namespace Kv;

/// <summary>One delivery of a message to its handler, and what became of it.</summary>
public class KvDelivery
{
    private protected KvDelivery(KvDelivery other)
        : this(other.Serializer)
    {
        (Id, Topic, Type, Payload, Attempt) = (other.Id, other.Topic, other.Type, other.Payload, other.Attempt);
        (At, Outcome, Error, Reason, DueAt) = (other.At, other.Outcome, other.Error, other.Reason, other.DueAt);
        (Progress, Note, Checkpoint, Writes) = (other.Progress, other.Note, other.Checkpoint, other.Writes);
    }

    internal KvDelivery(IKvValueSerializer serializer) => Serializer = serializer;

    /// <summary>The message's id.</summary>
    public string Id { get; internal init; } = "";

    /// <summary>The topic that it came by.</summary>
    public string Topic { get; internal init; } = "";

    /// <summary>The name of its type: <see cref="KvMessageAttribute.Name"/>.</summary>
    public string Type { get; internal init; } = "";

    /// <summary>The payload as it is stored; <see cref="As{T}"/> reads it.</summary>
    public KvValue Payload { get; internal init; } = null!;

    /// <summary>Which attempt it was, from 1.</summary>
    public int Attempt { get; internal init; }

    /// <summary>When the worker took it, by the test's clock.</summary>
    public DateTimeOffset At { get; internal init; }

    /// <summary>What became of it.</summary>
    public KvOutcome Outcome { get; internal init; }

    /// <summary>What the handler threw, or why it was not called; null for nothing.</summary>
    public Exception? Error { get; internal init; }

    /// <summary>Why it is a dead letter; null if it is none.</summary>
    public string? Reason { get; internal init; }

    /// <summary>When it is due again; null if it is not in the queue any more, or went back as it was.</summary>
    public DateTimeOffset? DueAt { get; internal init; }

    /// <summary>How far its handler said it was, from 0 to 1; null if it did not say.</summary>
    public double? Progress { get; internal init; }

    /// <summary>What its handler said it was doing; null if it did not say.</summary>
    public string? Note { get; internal init; }

    /// <summary>What the handler saved for the next attempt; null for nothing in this one.</summary>
    public KvValue? Checkpoint { get; internal init; }

    /// <summary>What its handler wrote and was committed, in its order: entries and messages.</summary>
    /// <remarks>
    /// Writes of the store and of <c>CompleteAsync</c>, that of a transaction of the handler's own as well, whatever became of that. What a
    /// context saves beside them is not among it.
    /// </remarks>
    public IReadOnlyList<KvTestWrite> Writes { get; internal init; } = [];

    private protected IKvValueSerializer Serializer { get; }

    /// <summary>Reads the message.</summary>
    /// <typeparam name="T">What it is read as.</typeparam>
    /// <returns>The message.</returns>
    /// <exception cref="KvException">It cannot be read as that type.</exception>
    public T? As<T>() => Serializer.Deserialize<T>(Payload);

    /// <summary>Reads what the handler saved for the next attempt.</summary>
    /// <typeparam name="T">What it is read as.</typeparam>
    /// <returns>The checkpoint, or the default of the type if there is none.</returns>
    /// <exception cref="KvException">It cannot be read as that type.</exception>
    public T? GetCheckpoint<T>() => Checkpoint is { } value ? Serializer.Deserialize<T>(value) : default;

    /// <summary>One line: what it was and what became of it.</summary>
    /// <returns>The line.</returns>
    public override string ToString()
    {
        var due = DueAt is { } at ? $", due {Times.Text(at)}" : "";
        var why = Reason ?? Error?.Message;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{Times.Text(At)} {Type} on '{Topic}', attempt {Attempt}: {Outcome}{due}{(why is null ? "" : $" ({why})")} {Payload.Shown}");
    }
}

/// <summary>One delivery of a message of a type.</summary>
/// <typeparam name="T">The type.</typeparam>
public sealed class KvDelivery<T> : KvDelivery
{
    internal KvDelivery(KvDelivery other)
        : base(other) => Message = other.As<T>()!;

    /// <summary>The message.</summary>
    public T Message { get; }
}
