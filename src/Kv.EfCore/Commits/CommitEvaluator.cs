using System.Buffers.Binary;
using System.Text;

namespace Kv.Commits;

/// <summary>
/// Decides what each write of a group does, over rows that were read under the lock. The meaning of checks and mutations is here alone,
/// once for both databases; a write that is refused or fails leaves no effect, since its effects are merged only when all of it is well.
/// </summary>
internal sealed class CommitEvaluator
{
    /// <summary>How much longer a key gets by a versionstamp: a string part of 20 digits.</summary>
    public const int VersionstampSize = 22;

    private const string DenoRule = "Deno shares this file, and has no way to read JSON in it";
    private readonly CommitReads _reads;
    private readonly bool _adopted;
    private readonly CommitEffects _effects = new();
    private readonly KeyOverlay _keys;
    private readonly UniqueKeys _messages;

    /// <param name="reads">What the commit group found.</param>
    /// <param name="adopted">Whether another program made the tables, which reads them still.</param>
    public CommitEvaluator(CommitReads reads, bool adopted = false)
    {
        (_reads, _adopted) = (reads, adopted);
        _keys = new KeyOverlay(reads, _effects);
        _messages = new UniqueKeys(_keys, _effects);
    }

    /// <summary>Evaluates one write.</summary>
    /// <param name="write">The write; writes are evaluated in the order of their versions.</param>
    /// <param name="version">Its version, or 0 if the group reads nothing and so does not need it.</param>
    /// <param name="versionOffset">How many versions of the group come after it.</param>
    /// <returns>The outcome, whose version is the caller's to say; if checks refuse it, those.</returns>
    /// <exception cref="KvException">
    /// A mutation cannot be done, it would be unreadable for the program that made the file, or the message that it ends is not there
    /// any more.
    /// </exception>
    public AtomicOutcome Evaluate(AtomicWrite write, long version, long versionOffset)
    {
        if (_adopted)
        {
            RefuseJson(write);
        }

        if (write.Acknowledges is { } fence && !_reads.Held.Remove(fence))
        {
            throw new KvException(
                KvErrorKind.LeaseLost,
                $"The message {fence.Id} is not held by this worker any more: its lease ran out, and others may be handling it. Nothing "
                + "was written; stop handling it.");
        }

        var outcome = new AtomicOutcome(0, []);
        try
        {
            if (write.Removes is { } waiting && !_reads.Waiting.Remove(waiting))
            {
                throw new KvException(
                    KvErrorKind.NotFound,
                    $"The message {waiting} does not wait in the queue any more: it is being handled, or it is done. Nothing was written.");
            }

            if (write.Clears is { } stray && !_reads.Strays.Remove(stray))
            {
                throw new KvException(
                    KvErrorKind.NotFound, $"The row of the message {stray.Id} is not in the queue any more. Nothing was written.");
            }

            if (FailedChecks(write) is { } failed)
            {
                Restore(write);
                return outcome with { FailedChecks = failed };
            }

            foreach (var mutation in write.Mutations)
            {
                outcome = outcome with { Result = Apply(mutation, version, versionOffset) };
            }

            if (write.Ends is { Unique: { } unique } ends)
            {
                var id = write.Acknowledges?.Id ?? write.Removes ?? (string)write.Clears!.Value.Id;
                _messages.Release(unique, id, ends.UniqueUntil, _reads.Now, version, versionOffset);
            }

            outcome = outcome with { Wait = RateTokens.Take(_keys, write.Rates, _reads.Now, version, versionOffset) };
            outcome = outcome with { Kept = _messages.Enqueue(write.Messages, version, versionOffset) };
        }
        catch
        {
            Restore(write);
            throw;
        }
        finally
        {
            _keys.Merge();
            _messages.Merge();
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

    /// <summary>What the commit group changes in all.</summary>
    public CommitEffects Finish()
    {
        _keys.Finish();
        return _effects;
    }

    /// <summary>A Deno that meets JSON fails: with the key, with each listing that holds it, and with each message.</summary>
    private static void RefuseJson(AtomicWrite write)
    {
        foreach (var mutation in write.Mutations)
        {
            if (mutation.Kind is MutationKind.Set or MutationKind.SetVersionstamped)
            {
                RefuseJson(mutation.Key, mutation.Encoding);
            }
        }

        foreach (var message in write.Messages)
        {
            if (message.Encoding == (int)KvEncoding.Json)
            {
                throw new KvException(
                    KvErrorKind.Encoding,
                    $"The message '{message.Type}' on the topic '{message.Topic}' is JSON. {DenoRule}: whatever listens there would end "
                    + "with it. Nothing was written. Enqueue an object, a byte[] or a KvValue of the encoding V8, or use a file of its "
                    + "own.");
            }
        }
    }

    private static void RefuseJson(byte[] key, int encoding)
    {
        if (encoding == (int)KvEncoding.Json)
        {
            throw new KvException(
                KvErrorKind.Encoding,
                $"The value of {KvKey.FromStored(key)} is JSON. {DenoRule}: it could neither get it nor list what is beside it. Nothing "
                + "was written. "
                + "Store an object, a ulong, a byte[], or a KvValue of the encoding V8, or keep it in a file of its own.");
        }
    }

    // What a refused write had begun is forgotten, and the message that it would have acknowledged stays held.
    private void Restore(AtomicWrite write)
    {
        _keys.Forget();
        _messages.Forget();
        if (write.Acknowledges is { } fence)
        {
            _reads.Held.Add(fence);
        }

        if (write.Removes is { } waiting)
        {
            _reads.Waiting.Add(waiting);
        }

        if (write.Clears is { } stray)
        {
            _reads.Strays.Add(stray);
        }
    }

    private List<(int Index, long? Present)>? FailedChecks(AtomicWrite write)
    {
        List<(int, long?)>? failed = null;
        for (var i = 0; i < write.Checks.Count; i++)
        {
            var cell = _keys.Find(write.Checks[i].Key);
            KvVersionstamp? present = cell.Live ? KvVersionstamp.FromVersion(cell.Version) : null;
            if (present != write.Checks[i].Versionstamp)
            {
                (failed ??= []).Add((i, cell.Live ? cell.Version : null));
            }
        }

        return failed;
    }

    /// <returns>What a counter has then; of a touch 1 if there was an entry, and 0 if not.</returns>
    private ulong Apply(in Mutation mutation, long version, long versionOffset)
    {
        var expiresAt = mutation.ExpireIn < 0 ? -1 : _reads.Now + mutation.ExpireIn;
        switch (mutation.Kind)
        {
            case MutationKind.Set:
                _keys.Put(mutation.Key, mutation.Value, mutation.Encoding, expiresAt, version, versionOffset);
                break;
            case MutationKind.SetVersionstamped:
                _keys.Put(WithVersionstamp(mutation.Key, version), mutation.Value, mutation.Encoding, expiresAt, version, versionOffset);
                break;
            case MutationKind.Delete:
                _keys.Delete(mutation.Key);
                break;
            case MutationKind.DeleteRange:
                _keys.DeleteRange(mutation.Key, mutation.End);
                break;
            case MutationKind.DeleteExpired:
                _keys.DeleteExpired(mutation.Key);
                break;
            case MutationKind.Touch:
                return _keys.Touch(mutation.Key, expiresAt, version, versionOffset) ? 1ul : 0;
            case MutationKind.Merge:
                Merge(mutation, expiresAt, version, versionOffset);
                break;
            default:
                // A counter keeps the expiry that it has: adding to it must not make it live for ever.
                var cell = _keys.Find(mutation.Key);
                var value = CounterRules.Apply(mutation, cell);
                _keys.Put(mutation.Key, value, (int)KvEncoding.UInt64, cell.Live ? cell.ExpiresAt : expiresAt, version, versionOffset);
                return BinaryPrimitives.ReadUInt64LittleEndian(value);
        }

        return 0;
    }

    // As a counter, a value that is there keeps its expiry.
    private void Merge(in Mutation mutation, long expiresAt, long version, long versionOffset)
    {
        var cell = _keys.Find(mutation.Key);
        var present = cell.Live ? new KvValue(cell.Value!, (KvEncoding)cell.Encoding) : null;
        var next = mutation.Merge!.Fold(mutation.Key, present, new KvValue(mutation.Value, (KvEncoding)mutation.Encoding));
        if (_adopted)
        {
            RefuseJson(mutation.Key, (int)next.Encoding);
        }

        _keys.Put(mutation.Key, next.Array, (int)next.Encoding, cell.Live ? cell.ExpiresAt : expiresAt, version, versionOffset);
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
}
