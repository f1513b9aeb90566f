using System.Globalization;
using Kv.Commits;
using Kv.Messages;

namespace Kv;

/// <summary>One thing that a handler wrote and that was committed: <see cref="KvDelivery.Writes"/>.</summary>
public sealed class KvTestWrite
{
    private readonly IKvValueSerializer _serializer;

    internal KvTestWrite(Mutation mutation, AtomicWrite write, IKvValueSerializer serializer)
    {
        _serializer = serializer;
        (Kind, Key) = (KindOf(mutation.Kind), KeyOf(mutation, write));
        Value = mutation.Kind is MutationKind.Set or MutationKind.SetVersionstamped or MutationKind.Merge
            ? new KvValue(mutation.Value, (KvEncoding)mutation.Encoding)
            : null;
        Operand = Kind is KvTestWriteKind.Sum or KvTestWriteKind.Min or KvTestWriteKind.Max ? mutation.Operand : null;
    }

    internal KvTestWrite(NewMessage message, IKvValueSerializer serializer)
    {
        _serializer = serializer;
        (Kind, Type, Topic) = (KvTestWriteKind.Enqueue, message.Type, message.Topic);
        Value = new KvValue(message.Data, (KvEncoding)message.Encoding);
    }

    /// <summary>What it does.</summary>
    public KvTestWriteKind Kind { get; }

    /// <summary>
    /// The key, as the handler's store shows it; for a range that a prefix names, the prefix; null for other ranges and for messages.
    /// </summary>
    public KvKey? Key { get; }

    /// <summary>The value that is set, the operand of a merge, or the message; null for others.</summary>
    public KvValue? Value { get; }

    /// <summary>The operand of a counter; null for others.</summary>
    public ulong? Operand { get; }

    /// <summary>The name of the message's type; null for entries.</summary>
    public string? Type { get; }

    /// <summary>The topic of the message; null for entries.</summary>
    public string? Topic { get; }

    /// <summary>Reads the value, or the message.</summary>
    /// <typeparam name="T">What it is read as.</typeparam>
    /// <returns>The value, or the default of the type if there is none.</returns>
    /// <exception cref="KvException">It cannot be read as that type.</exception>
    public T? As<T>() => Value is { } value ? _serializer.Deserialize<T>(value) : default;

    /// <summary>One line: what it does.</summary>
    /// <returns>The line.</returns>
    public override string ToString() => Kind == KvTestWriteKind.Enqueue
        ? $"{Kind} {Type} on '{Topic}': {Value!.Shown}"
        : string.Create(CultureInfo.InvariantCulture, $"{Kind} {Key?.ToString() ?? "a range"} {Value?.Shown}{Operand}").TrimEnd();

    /// <summary>All that a write does.</summary>
    internal static IEnumerable<KvTestWrite> Of(AtomicWrite write, IKvValueSerializer serializer) =>
        write.Mutations.Select(mutation => new KvTestWrite(mutation, write, serializer))
            .Concat(write.Messages.Select(message => new KvTestWrite(message, serializer)));

    private static KvKey? KeyOf(Mutation mutation, AtomicWrite write)
    {
        if (mutation.Kind != MutationKind.DeleteRange)
        {
            return write.Scope.Out(mutation.Key);
        }

        // A prefix's range lies between what follows it at once and what follows it last.
        return mutation.Key is [.. var start, 0x00] && mutation.End is [.. var end, 0xFF] && start.AsSpan().SequenceEqual(end)
            ? write.Scope.Out(start)
            : null;
    }

    private static KvTestWriteKind KindOf(MutationKind kind) => kind switch
    {
        MutationKind.Set => KvTestWriteKind.Set,
        MutationKind.SetVersionstamped => KvTestWriteKind.SetVersionstamped,
        MutationKind.DeleteRange => KvTestWriteKind.DeleteRange,
        MutationKind.Touch => KvTestWriteKind.Touch,
        MutationKind.Sum or MutationKind.SumWithin => KvTestWriteKind.Sum,
        MutationKind.Min => KvTestWriteKind.Min,
        MutationKind.Max => KvTestWriteKind.Max,
        MutationKind.Merge => KvTestWriteKind.Merge,
        _ => KvTestWriteKind.Delete,
    };
}
