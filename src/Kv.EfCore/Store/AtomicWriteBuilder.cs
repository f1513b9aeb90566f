using System.Diagnostics;
using Kv.Commits;
using Kv.Engine;
using Kv.Keys;
using Kv.Merges;
using Kv.Messages;

namespace Kv.Store;

/// <summary>
/// Turns what an atomic write is asked to do into the engine's terms, and refuses what is over a limit before anything is read or written.
/// </summary>
/// <param name="engine">The store's parts.</param>
/// <param name="serializer">Makes values of what is passed.</param>
/// <param name="scope">What its keys are in.</param>
internal sealed class AtomicWriteBuilder(KvEngine engine, IKvValueSerializer serializer, KeyScope scope)
{
    private const int MaxUndeliveredKeys = 10;
    private static readonly KvEnqueueOptions Usual = new();
    private readonly AtomicWrite _write = new(scope);
    private int _totalSize;
    private int _totalKeySize;

    private KvStoreOptions Options => engine.Limits;

    private WrittenValues Values => new(engine, serializer);

    /// <summary>How far the write has come.</summary>
    public WriteExtent Extent => new(_write.Checks.Count, _write.Mutations.Count, _write.Messages.Count, _totalSize, _totalKeySize);

    /// <summary>The changes so far.</summary>
    public IReadOnlyList<Mutation> Mutations => _write.Mutations;

    /// <summary>Takes out what came after one point and before another.</summary>
    public void Remove(WriteExtent from, WriteExtent to)
    {
        _write.Checks.RemoveRange(from.Checks, to.Checks - from.Checks);
        _write.Mutations.RemoveRange(from.Mutations, to.Mutations - from.Mutations);
        _write.Messages.RemoveRange(from.Messages, to.Messages - from.Messages);
        _totalSize -= to.Size - from.Size;
        _totalKeySize -= to.KeySize - from.KeySize;
    }

    public void Check(KvKey key, KvVersionstamp? versionstamp)
    {
        var bytes = Key(key);
        _totalSize += bytes.Length;
        _write.Checks.Add(new Check(bytes, versionstamp));
    }

    public void Set<T>(MutationKind kind, KvKey key, T value, TimeSpan? expireIn, KvEncoding? encoding = null)
    {
        var bytes = Key(key);
        var stored = Values.Fitting(Values.Stored(key, value, encoding), key, nameof(value));
        Count(bytes, stored.Array.Length);
        _write.Mutations.Add(
            new Mutation(kind, bytes) { Value = stored.Array, Encoding = (int)stored.Encoding, ExpireIn = ExpireIn(expireIn, key) });
    }

    public void Merge<T>(KvKey key, string name, T operand, TimeSpan? expireIn)
    {
        ArgumentNullException.ThrowIfNull(name);
        var bytes = Key(key);
        var merge = engine.Merges.Find(name, key);
        var stored = Values.Fitting(Values.Operand(key, merge, operand), key, nameof(operand));
        Count(bytes, stored.Array.Length);
        _write.Mutations.Add(new Mutation(MutationKind.Merge, bytes)
        {
            Value = stored.Array,
            Encoding = (int)stored.Encoding,
            ExpireIn = ExpireIn(expireIn, key),
            Merge = new MergeStep(merge, serializer, engine.Merges),
        });
    }

    public void SumValue(KvKey key, V8Value value, V8Value? min, V8Value? max, bool clamp)
    {
        ArgumentNullException.ThrowIfNull(value);
        if (ValueSum.Defect(value, min, max) is { } defect)
        {
            throw new ArgumentException($"The sum of {key} cannot be made. {defect}", nameof(value));
        }

        var bytes = Key(key);
        var operand = new KvValue(value.ToBytes(), KvEncoding.V8);
        Count(bytes, operand.Array.Length);
        _write.Mutations.Add(new Mutation(MutationKind.Merge, bytes)
        {
            Value = operand.Array,
            Encoding = (int)operand.Encoding,
            ExpireIn = -1,
            Merge = new MergeStep(new ValueSum((V8Primitive?)min, (V8Primitive?)max, clamp), serializer, engine.Merges),
        });
    }

    public void Add(MutationKind kind, KvKey key)
    {
        var bytes = Key(key);
        _totalSize += bytes.Length;
        _write.Mutations.Add(new Mutation(kind, bytes));
    }

    public void DeleteRange(KvRange range)
    {
        ArgumentNullException.ThrowIfNull(range);
        var stored = scope.In(range);
        _totalSize += stored.Start.Length + stored.End.Length;
        _write.Mutations.Add(
            new Mutation(MutationKind.DeleteRange, Bound(stored.Start, nameof(range))) { End = Bound(stored.End, nameof(range)) });
    }

    public void Count(MutationKind kind, KvKey key, ulong operand, TimeSpan? expireIn = null)
    {
        var bytes = Key(key);
        Count(bytes, sizeof(ulong));
        _write.Mutations.Add(new Mutation(kind, bytes) { Operand = operand, ExpireIn = ExpireIn(expireIn, key) });
    }

    public void SumWithin(KvKey key, long delta, ulong min, ulong max, bool clamp)
    {
        if (min > max)
        {
            throw new ArgumentException($"The least result {min} is above the greatest, {max}. Swap them.", nameof(min));
        }

        var bytes = Key(key);
        Count(bytes, sizeof(ulong));
        _write.Mutations.Add(new Mutation(MutationKind.SumWithin, bytes) { Bounds = new SumBounds(delta, min, max, clamp) });
    }

    public void Touch(KvKey key, TimeSpan? expireIn)
    {
        var bytes = Key(key);
        _totalSize += bytes.Length;
        _write.Mutations.Add(new Mutation(MutationKind.Touch, bytes) { ExpireIn = ExpireIn(expireIn, key) });
    }

    public void Enqueue<T>(T message, KvEnqueueOptions? options)
    {
        ArgumentNullException.ThrowIfNull(message);
        options ??= Usual;
        EnqueueRules.Validate(options);
        var name = MessageName.Of(message, serializer);
        var payload = Values.Payload(message, name);
        if (payload.Defect is { } defect)
        {
            throw new ArgumentException($"The message cannot be enqueued. {defect}", nameof(message));
        }

        if (payload.Array.Length > Options.MaxMessageSize)
        {
            throw new ArgumentException(
                $"enqueue payload too large (max {Options.MaxMessageSize} bytes): the message takes {payload.Array.Length} bytes. Store "
                + "the large part under a key and send the key, or raise KvStoreOptions.MaxMessageSize.",
                nameof(message));
        }

        if (!name.IsGiven && name.Type != typeof(KvValue))
        {
            engine.Unnamed.Enqueued(name.Type, name.Name);
        }

        _totalSize += payload.Array.Length + (4 * (options.BackoffSchedule?.Count ?? KvLimits.MaxBackoffIntervals));
        _write.Messages.Add(new NewMessage(
            "",
            payload.Array,
            (int)payload.Encoding,
            options.Topic is { Length: > 0 } chosen ? KvMessageAttribute.Valid(chosen, nameof(options)) : options.Topic ?? name.Topic,
            name.Name,
            Delay(options),
            Backoff(options.BackoffSchedule),
            Undelivered(options.KeysIfUndelivered),
            Activity.Current is { IdFormat: ActivityIdFormat.W3C, Id: var id } ? id : null)
        {
            Priority = options.Priority,
            GroupKey = QueueKey(options.GroupKey, "group key") ?? QueueKey(options.ConcurrencyKey, "concurrency key"),
            GroupLimit = options.ConcurrencyKey is null ? 0 : options.ConcurrencyLimit,
            RateKey = QueueKey(options.RateKey, "rate key"),
            Scope = scope.Stored,
            UniqueKey = QueueKey(options.UniqueKey, "unique key"),
            UniqueFor = (long)options.UniqueFor.TotalMilliseconds,
            IfDuplicate = options.IfDuplicate,
            TopicRetries = options.BackoffSchedule is null,
        });

        string? QueueKey(string? key, string what) => key is null ? null : scope.In(KvMessageAttribute.Valid(key, nameof(options), what));
    }

    /// <summary>Adds a message that was made and checked before.</summary>
    public void Enqueue(NewMessage message)
    {
        _totalSize += message.Data.Length + (4 * KvLimits.MaxBackoffIntervals);
        _write.Messages.Add(message);
    }

    /// <inheritdoc cref="AtomicWrite.IsPlain" />
    public bool IsPlain => _write.IsPlain;

    /// <summary>The messages so far.</summary>
    public IReadOnlyList<NewMessage> Messages => _write.Messages;

    /// <summary>Whether it has more changes and messages, or more bytes, than a write may have.</summary>
    public bool IsOverLimit =>
        _write.Mutations.Count + _write.Messages.Count > Options.MaxMutations || _totalSize > Options.MaxTotalSize;

    /// <summary>
    /// The write, if it is within the limits as a whole. Each time that it is asked for, its messages get ids of their own.
    /// </summary>
    public AtomicWrite Build()
    {
        RefuseOverLimits();
        GiveIds(0);
        return _write;
    }

    /// <summary>What came after a point, if all of the write is within the limits. What came before keeps its ids.</summary>
    public AtomicWrite BuildAfter(WriteExtent start)
    {
        RefuseOverLimits();
        GiveIds(start.Messages);
        var write = new AtomicWrite(scope);
        write.Checks.AddRange(_write.Checks.Skip(start.Checks));
        write.Mutations.AddRange(_write.Mutations.Skip(start.Mutations));
        write.Messages.AddRange(_write.Messages.Skip(start.Messages));
        return write;
    }

    private void GiveIds(int start)
    {
        for (var i = start; i < _write.Messages.Count; i++)
        {
            _write.Messages[i].Id = engine.Ids.Next(engine.Clock.Now);
        }
    }

    private void RefuseOverLimits()
    {
        Limit(_write.Checks.Count, Options.MaxChecks, "Too many checks", "", nameof(KvStoreOptions.MaxChecks));
        var changes = _write.Mutations.Count + _write.Messages.Count;
        Limit(changes, Options.MaxMutations, "Too many mutations", "", nameof(KvStoreOptions.MaxMutations));
        Limit(_totalSize, Options.MaxTotalSize, "Total mutation size too large", " bytes", nameof(KvStoreOptions.MaxTotalSize));
        Limit(_totalKeySize, Options.MaxTotalKeySize, "Total key size too large", " bytes", nameof(KvStoreOptions.MaxTotalKeySize));
    }

    private static void Limit(int value, int most, string what, string unit, string option)
    {
        if (value > most)
        {
            throw new ArgumentException(
                $"{what} (max {most}{unit}): the atomic write has {value}{unit}. Split it, or raise KvStoreOptions.{option}.");
        }
    }

    // Sizes are counted as Deno does: the key of a value twice.
    private void Count(byte[] key, int value)
    {
        _totalSize += (2 * key.Length) + value;
        _totalKeySize += key.Length;
    }

    /// <summary>A key that may be written, deleted or checked.</summary>
    private byte[] Key(KvKey? key)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (key.Bytes.Length == 0)
        {
            throw new ArgumentException("key cannot be empty: give it at least one part, such as [\"users\"].", nameof(key));
        }

        var bytes = scope.In(key);
        return bytes.Length <= KvLimits.MaxKeySize
            ? bytes
            : throw new ArgumentException(
                $"Key too large for write (max {KvLimits.MaxKeySize} bytes): the key encodes to {bytes.Length} bytes{scope.OfSize}. "
                + "Shorten its parts, or store the long part in the value.",
                nameof(key));
    }

    private static byte[] Bound(byte[] bound, string parameter) => bound.Length <= KvLimits.MaxReadKeySize
        ? bound
        : throw new ArgumentException(
            $"Key too large for read (max {KvLimits.MaxReadKeySize} bytes): a bound of the range takes {bound.Length} bytes. Shorten its "
            + "parts.", parameter);

    private static long ExpireIn(TimeSpan? expireIn, KvKey key) => expireIn switch
    {
        null => -1,
        { } time when time < TimeSpan.Zero => throw new ArgumentException(
            $"expireIn must be a non-negative TimeSpan: received {time} for {key}. Leave it out for an entry that lives for ever; delete "
            + "the key to end it now.", nameof(expireIn)),
        { } time when time.TotalDays > 365_000 => throw new ArgumentException(
            $"expireIn is too large: {time} for {key}. Leave it out for an entry that lives for ever.", nameof(expireIn)),
        { } time => (long)time.TotalMilliseconds,
    };

    // A time that is no further from 1970 than a delay may be long is past: due at once.
    private static long Delay(KvEnqueueOptions options) => options.DueAt is not { } due ? (long)options.Delay.TotalMilliseconds
        : (due.UtcTicks - DateTimeOffset.UnixEpoch.Ticks + TimeSpan.TicksPerMillisecond - 1) / TimeSpan.TicksPerMillisecond is var time
            && time > NewMessage.LongestDelay ? time : 0;

    private static string Backoff(IReadOnlyList<TimeSpan>? schedule)
    {
        if (schedule is null)
        {
            return MessageColumns.DefaultDelays;
        }

        if (schedule.Count > KvLimits.MaxBackoffIntervals)
        {
            throw new ArgumentException(
                $"Invalid backoffSchedule, max {KvLimits.MaxBackoffIntervals} intervals allowed: received {schedule.Count}. Use fewer and "
                + "longer ones.", nameof(schedule));
        }

        for (var i = 0; i < schedule.Count; i++)
        {
            if (schedule[i] < TimeSpan.Zero || schedule[i] > KvLimits.MaxBackoffInterval)
            {
                throw new ArgumentException(
                    $"Invalid backoffSchedule, interval at index {i} is invalid: {schedule[i]} is not between zero and an "
                    + "hour.", nameof(schedule));
            }
        }

        return MessageColumns.WriteDelays(schedule);
    }

    private string Undelivered(IReadOnlyList<KvKey> keys)
    {
        if (keys.Count > MaxUndeliveredKeys)
        {
            throw new ArgumentException(
                $"A message can have {MaxUndeliveredKeys} keys if undelivered; received {keys.Count}.", nameof(keys));
        }

        return keys.Count == 0 ? MessageColumns.NoKeys : MessageColumns.WriteKeys([.. keys.Select(Key)]);
    }
}
