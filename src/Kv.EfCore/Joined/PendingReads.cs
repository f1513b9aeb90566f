using Kv.Commits;
using Kv.Keys;
using Kv.Store;

namespace Kv.Joined;

/// <summary>Reads entries as they would be if what is pending were committed now.</summary>
/// <param name="store">What is stored.</param>
/// <param name="pending">What is pending.</param>
internal sealed class PendingReads(KvStore store, PendingWrites pending)
{
    /// <summary>An entry with the changes that wait for it; null if it is absent then.</summary>
    public async ValueTask<KvPendingEntry?> GetAsync(KvKey key, CancellationToken cancellationToken)
    {
        var entry = await store.GetAsync(key, cancellationToken).ConfigureAwait(false);
        var write = new AtomicWrite();
        write.Mutations.AddRange(pending.Mutations.Where(mutation => IsAbout(mutation, key.Bytes)));
        if (write.Mutations.Count == 0)
        {
            return entry is null ? null : new KvPendingEntry(entry, isStored: true);
        }

        // The value is read with the row's own encoding, and lives: the read has seen to that.
        var reads = new CommitReads { Now = store.Engine.Clock.Now, LastVersion = long.MaxValue };
        if (entry is not null)
        {
            reads.Rows[key.Bytes] = new StoredRow(1, (int)entry.Value.Encoding, ExpiresAt: -1, entry.Value.Bytes.ToArray());
        }

        var evaluator = new CommitEvaluator(reads);
        evaluator.Evaluate(write, reads.LastVersion, versionOffset: 0);
        var effects = evaluator.Finish();
        if (effects.Puts is [var put])
        {
            var value = new KvValue(put.Value, (KvEncoding)put.Encoding);
            return IsOver(reads.Now, put.ExpiresAt)
                ? null
                : new KvPendingEntry(new KvEntry(key, value, entry?.Versionstamp ?? default, store.Serializer), entry is not null);
        }

        var isGone = effects.Deletes.Count > 0 || effects.Ranges.Count > 0
            || effects.Touches.Exists(touch => IsOver(reads.Now, touch.ExpiresAt));
        return entry is null || isGone ? null : new KvPendingEntry(entry, isStored: true);
    }

    /// <summary>Refuses a listing of a range in which something is pending: what would become of it, only the commit can tell.</summary>
    /// <exception cref="InvalidOperationException">Something is.</exception>
    public void RefuseChanged(KvRange range)
    {
        ArgumentNullException.ThrowIfNull(range);
        foreach (var mutation in pending.Mutations)
        {
            var isWithin = mutation.Kind == MutationKind.DeleteRange
                ? IsBefore(mutation.Key, range.End) && IsBefore(range.Start, mutation.End)
                : IsWithin(mutation.Key, range.Start, range.End)
                    || (mutation.Kind == MutationKind.SetVersionstamped
                        && IsBefore(mutation.Key, range.End) && IsBefore(range.Start, After(mutation.Key)));
            if (isWithin)
            {
                throw new InvalidOperationException(
                    $"The range has changes that are collected and not committed, at {Describe(mutation)}: a listing would show the "
                    + "entries without them. Save first, list before you collect, or get single keys.");
            }
        }
    }

    private static string Describe(in Mutation mutation) =>
        mutation.Kind == MutationKind.DeleteRange ? "a range that is deleted" : KvKey.FromStored(mutation.Key).ToString();

    // The key of what is set under a versionstamp is not known before the commit.
    private static bool IsAbout(in Mutation mutation, byte[] key) => mutation.Kind switch
    {
        MutationKind.SetVersionstamped => false,
        MutationKind.DeleteRange => IsWithin(key, mutation.Key, mutation.End),
        _ => KeyComparer.Instance.Equals(mutation.Key, key),
    };

    private static bool IsOver(long now, long expiresAt) => expiresAt >= 0 && expiresAt <= now;

    private static bool IsWithin(byte[] key, byte[] start, byte[] end) => !IsBefore(key, start) && IsBefore(key, end);

    private static bool IsBefore(byte[] one, byte[] other) => one.AsSpan().SequenceCompareTo(other) < 0;

    /// <summary>What comes after all keys that begin with one.</summary>
    private static byte[] After(byte[] key) => [.. key, 0xFF];
}
