using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Kv.Keys;
using Kv.Messages;

namespace Kv.Commits;

/// <summary>
/// Decides what each write of a group does, over rows that were read under the lock. The meaning of checks and mutations is here alone,
/// once for both databases; a write that is refused or fails leaves no effect, since its effects are merged only when all of it is well.
/// </summary>
internal sealed class GroupEvaluator(GroupReads reads, bool adopted = false)
{
    /// <summary>How much longer a key gets by a versionstamp: a string part of 20 digits.</summary>
    public const int VersionstampSize = 22;

    private readonly Dictionary<byte[], Cell> _cells = new(KeyComparer.Instance);
    private readonly Dictionary<byte[], Cell> _pending = new(KeyComparer.Instance);
    private readonly List<(byte[] Start, byte[] End)> _pendingRanges = [];
    private readonly List<(NewMessage Message, long Back)> _pendingMessages = [];
    private readonly List<string> _pendingRemovals = [];
    private readonly GroupEffects _effects = new();

    private enum Effect
    {
        None,
        Put,
        Touch,
        Delete,
    }

    /// <summary>Evaluates one write.</summary>
    /// <param name="write">The write; writes are evaluated in the order of their versions.</param>
    /// <param name="version">Its version, or 0 if the group reads nothing and so does not need it.</param>
    /// <param name="back">How many versions of the group come after it.</param>
    /// <returns>The outcome, whose version is the caller's to say; if checks refuse it, those.</returns>
    /// <exception cref="KvException">A mutation cannot be done, it would be unreadable for the program that made the file, or the message that it ends is not there any more.</exception>
    public AtomicOutcome Evaluate(AtomicWrite write, long version, long back)
    {
        if (adopted)
        {
            RefuseJson(write);
        }

        if (write.Acknowledges is { } fence && !reads.Held.Remove(fence))
        {
            throw new KvException(
                KvErrorKind.LeaseLost,
                $"The message {fence.Id} is not held by this worker any more: its lease ran out, and others may be handling it. Nothing was written; stop handling it.");
        }

        var outcome = new AtomicOutcome(0, []);
        try
        {
            if (write.Removes is { } waiting && !reads.Waiting.Remove(waiting))
            {
                throw new KvException(
                    KvErrorKind.NotFound, $"The message {waiting} does not wait in the queue any more: it is being handled, or it is done. Nothing was written.");
            }

            if (write.Clears is { } stray && !reads.Strays.Remove(stray))
            {
                throw new KvException(KvErrorKind.NotFound, $"The row of the message {stray.Id} is not in the queue any more. Nothing was written.");
            }

            if (FailedChecks(write) is { } failed)
            {
                Restore(write);
                return outcome with { FailedChecks = failed };
            }

            foreach (var mutation in write.Mutations)
            {
                Apply(mutation, version, back);
            }

            if (write.Ends is { Unique: { } unique } ends)
            {
                LetGo(unique, write.Acknowledges?.Id ?? write.Removes ?? (string)write.Clears!.Value.Id, ends.UniqueUntil, version, back);
            }

            outcome = outcome with { Wait = TakeTurns(write.Rates, version, back) };
            outcome = outcome with { Kept = Enqueue(write.Messages, version, back) };
        }
        catch
        {
            Restore(write);
            throw;
        }
        finally
        {
            Merge();
        }

        if (write.Acknowledges is { } acknowledged)
        {
            _effects.Acknowledged.Add((acknowledged, write.Ends));
        }

        if (write.Removes is { } removed)
        {
            _effects.Removed.Add(removed);
        }

        if (write.Clears is { } cleared)
        {
            _effects.Cleared.Add(cleared);
        }

        _effects.Unblocked.AddRange(write.Unblocks);
        return outcome;
    }

    /// <summary>What the group changes in all.</summary>
    public GroupEffects Finish()
    {
        foreach (var (key, cell) in _cells)
        {
            switch (cell.Effect)
            {
                case Effect.Put:
                    _effects.Puts.Add((key, cell.Value!, cell.Encoding, cell.Back, cell.ExpiresAt));
                    break;
                case Effect.Touch:
                    _effects.Touches.Add((key, cell.Back, cell.ExpiresAt));
                    break;
                case Effect.Delete:
                    _effects.Deletes.Add(key);
                    break;
                default:
                    continue;
            }

            if (cell.Effect != Effect.Delete && cell.ExpiresAt >= 0)
            {
                _effects.SoonestExpiry = Math.Min(_effects.SoonestExpiry, Math.Max(0, cell.ExpiresAt - reads.Now));
            }
        }

        return _effects;
    }

    /// <summary>A Deno that meets JSON fails: with the key, with each listing that holds it, and with each message.</summary>
    private static void RefuseJson(AtomicWrite write)
    {
        const string Rule = "Deno made this file, and has no way to read JSON in it";
        foreach (var mutation in write.Mutations)
        {
            if (mutation is { Encoding: (int)KvEncoding.Json, Kind: MutationKind.Set or MutationKind.SetVersionstamped })
            {
                throw new KvException(
                    KvErrorKind.Encoding,
                    $"The value of {KvKey.FromStored(mutation.Key)} is JSON. {Rule}: it could neither get it nor list what is beside it. Nothing was written. Store a ulong, a byte[], or a KvValue of the encoding V8, or keep it in a file of its own.");
            }
        }

        foreach (var message in write.Messages)
        {
            if (message.Encoding == (int)KvEncoding.Json)
            {
                throw new KvException(
                    KvErrorKind.Encoding,
                    $"The message '{message.Type}' on the topic '{message.Topic}' is JSON. {Rule}: whatever listens there would end with it. Nothing was written. Enqueue a byte[] or a KvValue of the encoding V8, or use a file of its own.");
            }
        }
    }

    // What a refused write had begun is forgotten, and the message that it would have acknowledged stays held.
    private void Restore(AtomicWrite write)
    {
        _pending.Clear();
        _pendingRanges.Clear();
        _pendingMessages.Clear();
        _pendingRemovals.Clear();
        if (write.Acknowledges is { } fence)
        {
            reads.Held.Add(fence);
        }

        if (write.Removes is { } waiting)
        {
            reads.Waiting.Add(waiting);
        }

        if (write.Clears is { } stray)
        {
            reads.Strays.Add(stray);
        }
    }

    /// <summary>Puts messages in. Of those with a unique key only what the key allows: the key notes who has it.</summary>
    /// <returns>The ids of the messages that are in the queue then, if they are not those that came.</returns>
    private List<string>? Enqueue(List<NewMessage> messages, long version, long back)
    {
        List<string>? ids = null;
        for (var i = 0; i < messages.Count; i++)
        {
            var message = messages[i];
            if (message.UniqueKey is not null)
            {
                var key = QueueKeys.Unique(message.Topic, message.UniqueKey);
                if (Find(key) is { Live: true, Value: { } holder })
                {
                    var present = Encoding.ASCII.GetString(holder);
                    switch (message.IfDuplicate)
                    {
                        case KvDuplicatePolicy.Refuse:
                            throw new KvException(
                                KvErrorKind.Duplicate,
                                $"The topic '{message.Topic}' has a message with the unique key '{message.UniqueKey}' already: {present}. Nothing was written; wait for it, cancel it, or ask to keep or replace it.");
                        case KvDuplicatePolicy.Keep:
                            ids ??= messages.ConvertAll(static m => m.Id);
                            ids[i] = present;
                            continue;
                        default:
                            // One of this group is not in the tables yet.
                            _pendingMessages.RemoveAll(m => m.Message.Id == present);
                            _pendingRemovals.Add(present);
                            break;
                    }
                }

                Put(key, Encoding.ASCII.GetBytes(message.Id), (int)KvEncoding.Bytes, expiresAt: -1, version, back);
            }

            _pendingMessages.Add((message, back));
        }

        return ids;
    }

    /// <summary>A message that had a unique key ends: the key is free, unless it is another's by now, or is to stay taken for a time.</summary>
    private void LetGo(byte[] key, string id, long until, long version, long back)
    {
        if (Find(key) is not { Live: true, Value: { } holder } || !holder.AsSpan().SequenceEqual(Encoding.ASCII.GetBytes(id)))
        {
            return;
        }

        if (until > reads.Now)
        {
            Put(key, holder, (int)KvEncoding.Bytes, until, version, back);
        }
        else
        {
            _pending[key] = new Cell { Effect = Effect.Delete };
        }
    }

    /// <summary>Takes a turn of each rate; or, where one has none to give, only a place in its line, so that no turn is used up for nothing.</summary>
    /// <returns>How long to wait, in milliseconds.</returns>
    private long TakeTurns(IReadOnlyList<RateRequest> rates, long version, long back)
    {
        if (rates.Count == 0)
        {
            return 0;
        }

        var taken = rates.Select(rate =>
        {
            var stored = Find(rate.Key) is { Live: true, Value: { } bytes } ? RateBucket.Read(bytes) : default;
            var (wait, after) = stored.Take(reads.Now * 1000, rate.Rule, rate.HasTime);
            return (rate.Key, Wait: wait, After: after);
        }).ToList();
        var longest = taken.Max(static t => t.Wait);
        foreach (var (key, wait, after) in taken)
        {
            if (longest == 0 || wait > 0)
            {
                // A bucket that is full says nothing that its absence would not.
                Put(key, after.Write(), (int)KvEncoding.Bytes, (after.EndsAt / 1000) + 1000, version, back);
            }
        }

        return longest;
    }

    private List<(int Index, long? Present)>? FailedChecks(AtomicWrite write)
    {
        List<(int, long?)>? failed = null;
        for (var i = 0; i < write.Checks.Count; i++)
        {
            var cell = Find(write.Checks[i].Key);
            KvVersionstamp? present = cell.Live ? KvVersionstamp.FromVersion(cell.Version) : null;
            if (present != write.Checks[i].Versionstamp)
            {
                (failed ??= []).Add((i, cell.Live ? cell.Version : null));
            }
        }

        return failed;
    }

    private void Apply(in Mutation mutation, long version, long back)
    {
        var expiresAt = mutation.ExpireIn < 0 ? -1 : reads.Now + mutation.ExpireIn;
        switch (mutation.Kind)
        {
            case MutationKind.Set:
                Put(mutation.Key, mutation.Value, mutation.Encoding, expiresAt, version, back);
                break;
            case MutationKind.SetVersionstamped:
                Put(WithVersionstamp(mutation.Key, version), mutation.Value, mutation.Encoding, expiresAt, version, back);
                break;
            case MutationKind.Delete:
                _pending[mutation.Key] = new Cell { Effect = Effect.Delete };
                break;
            case MutationKind.DeleteRange:
                DeleteRange(_pending, mutation.Key, mutation.End);
                _pendingRanges.Add((mutation.Key, mutation.End));
                break;
            case MutationKind.DeleteExpired:
                // Under the lock the row may have a later expiry than when it was seen, or be gone.
                if (reads.Rows.TryGetValue(mutation.Key, out var row) && row.ExpiresAt >= 0 && row.ExpiresAt <= reads.Now && Find(mutation.Key).Effect == Effect.None)
                {
                    _pending[mutation.Key] = new Cell { Effect = Effect.Delete };
                }

                break;
            case MutationKind.Touch:
                if (Find(mutation.Key) is { Live: true } touched)
                {
                    _pending[mutation.Key] = touched with
                    {
                        Effect = touched.Effect == Effect.Put ? Effect.Put : Effect.Touch,
                        Live = expiresAt < 0 || expiresAt > reads.Now,
                        Version = version,
                        Back = back,
                        ExpiresAt = expiresAt,
                    };
                }

                break;
            default:
                Count(mutation);
                break;
        }

        void Count(in Mutation counter)
        {
            var cell = Find(counter.Key);
            ulong? present = cell.Live ? Counter(counter, cell) : null;
            var result = counter.Kind switch
            {
                MutationKind.Sum => unchecked((present ?? 0) + counter.Operand),
                MutationKind.SumWithin => SumWithin(counter, present ?? 0),
                MutationKind.Min => Math.Min(present ?? counter.Operand, counter.Operand),
                MutationKind.Max => Math.Max(present ?? counter.Operand, counter.Operand),
                _ => throw new ArgumentOutOfRangeException(nameof(mutation), counter.Kind, "Not a kind of mutation."),
            };

            var value = new byte[sizeof(ulong)];
            BinaryPrimitives.WriteUInt64LittleEndian(value, result);

            // A counter keeps the expiry that it has: adding to it must not make it live for ever.
            Put(counter.Key, value, (int)KvEncoding.UInt64, cell.Live ? cell.ExpiresAt : -1, version, back);
        }
    }

    private void Put(byte[] key, byte[] value, int encoding, long expiresAt, long version, long back) => _pending[key] = new Cell
    {
        Live = expiresAt < 0 || expiresAt > reads.Now,
        Version = version,
        Back = back,
        Value = value,
        Encoding = encoding,
        ExpiresAt = expiresAt,
        Effect = Effect.Put,
    };

    private static ulong Counter(in Mutation mutation, Cell cell)
    {
        if (cell.Encoding != (int)KvEncoding.UInt64)
        {
            var verb = mutation.Kind switch
            {
                MutationKind.Min => "min",
                MutationKind.Max => "max",
                _ => "sum",
            };
            throw new KvException(
                KvErrorKind.Type,
                $"Failed to perform '{verb}' mutation on a non-U64 value in the database: the value of {KvKey.FromStored(mutation.Key)} has encoding {(KvEncoding)cell.Encoding}. Set it to a ulong first, or count under another key.");
        }

        return cell.Value is { Length: sizeof(ulong) } bytes
            ? BinaryPrimitives.ReadUInt64LittleEndian(bytes)
            : throw new KvException(
                KvErrorKind.Type,
                $"The counter {KvKey.FromStored(mutation.Key)} has {cell.Value?.Length ?? 0} bytes; a 64-bit counter has 8. Set it to a ulong first.");
    }

    private static ulong SumWithin(in Mutation mutation, ulong present)
    {
        var bounds = mutation.Bounds!;
        var sum = (Int128)present + bounds.Delta;
        if (sum >= bounds.Min && sum <= bounds.Max)
        {
            return (ulong)sum;
        }

        if (!bounds.Clamp)
        {
            throw new KvException(
                KvErrorKind.Range,
                string.Create(CultureInfo.InvariantCulture, $"The result of a Sum operation would exceed its range limit: {KvKey.FromStored(mutation.Key)} would become {sum}, outside {bounds.Min}..{bounds.Max}. Clamp it, or handle the refusal."));
        }

        return sum < bounds.Min ? bounds.Min : bounds.Max;
    }

    /// <summary>The key with one more part: the versionstamp as a string (specification 4.2).</summary>
    private static byte[] WithVersionstamp(byte[] prefix, long version)
    {
        var key = new byte[prefix.Length + VersionstampSize];
        prefix.CopyTo(key, 0);
        key[prefix.Length] = 0x02;
        Encoding.ASCII.GetBytes(KvVersionstamp.FromVersion(version).ToString(), key.AsSpan(prefix.Length + 1));
        return key;
    }

    private Cell Find(byte[] key)
    {
        if (_pending.TryGetValue(key, out var pending))
        {
            return pending;
        }

        foreach (var (start, end) in _pendingRanges)
        {
            if (IsWithin(key, start, end))
            {
                return default;
            }
        }

        if (_cells.TryGetValue(key, out var cell))
        {
            return cell;
        }

        return reads.Rows.TryGetValue(key, out var row) && !_effects.Ranges.Exists(range => IsWithin(key, range.Start, range.End))
            ? new Cell
            {
                Live = row.ExpiresAt < 0 || row.ExpiresAt > reads.Now,
                Version = row.Version,
                Encoding = row.Encoding,
                ExpiresAt = row.ExpiresAt,
                Value = row.Value,
            }
            : default;
    }

    // Ranges run before single keys in the database, so what a range covers loses the effect that it had.
    private void Merge()
    {
        foreach (var (start, end) in _pendingRanges)
        {
            DeleteRange(_cells, start, end);
            _effects.Ranges.Add((start, end));
        }

        foreach (var (key, cell) in _pending)
        {
            _cells[key] = cell;
        }

        foreach (var id in _pendingRemovals)
        {
            _effects.Messages.RemoveAll(m => m.Message.Id == id);
        }

        _effects.Removed.AddRange(_pendingRemovals);
        _effects.Messages.AddRange(_pendingMessages);
        _pending.Clear();
        _pendingRanges.Clear();
        _pendingMessages.Clear();
        _pendingRemovals.Clear();
    }

    private static void DeleteRange(Dictionary<byte[], Cell> cells, byte[] start, byte[] end)
    {
        foreach (var key in cells.Keys.Where(key => IsWithin(key, start, end)).ToList())
        {
            cells[key] = default;
        }
    }

    private static bool IsWithin(byte[] key, byte[] start, byte[] end) =>
        key.AsSpan().SequenceCompareTo(start) >= 0 && key.AsSpan().SequenceCompareTo(end) < 0;

    private readonly record struct Cell
    {
        public bool Live { get; init; }

        public long Version { get; init; }

        public long Back { get; init; }

        public int Encoding { get; init; }

        public byte[]? Value { get; init; }

        public long ExpiresAt { get; init; }

        public Effect Effect { get; init; }
    }
}
