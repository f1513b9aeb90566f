using System.Runtime.InteropServices;
using Kv.Commits;
using Kv.Store;

namespace Kv.Joined;

/// <summary>
/// What was collected and is not committed yet: one write, whose parts know the transaction and the savepoint that they came in.
/// </summary>
/// <param name="builder">Makes the write.</param>
internal sealed class PendingWrites(AtomicWriteBuilder builder)
{
    private readonly List<Part> _parts = [];

    /// <summary>How far the write has come.</summary>
    public WriteExtent Extent => builder.Extent;

    /// <summary>How many checks, changes and messages wait.</summary>
    public int Count => builder.Extent.Count;

    /// <summary>The changes that wait, in their order.</summary>
    public IReadOnlyList<Mutation> Mutations => builder.Mutations;

    /// <summary>Whether there are messages alone that nothing orders.</summary>
    public bool IsPlain => builder.IsPlain;

    /// <summary>How often something was taken out.</summary>
    public int Removals { get; private set; }

    /// <summary>Whether a rollback left it open what belongs to the transaction still.</summary>
    public bool IsUnclear { get; private set; }

    /// <summary>What takes more.</summary>
    /// <param name="transaction">The transaction that is open; null for none.</param>
    /// <param name="savepoints">How many savepoints of the user's it has.</param>
    public AtomicWriteBuilder Add(Guid? transaction, int savepoints)
    {
        if (_parts.Count == 0 || _parts[^1].Transaction != transaction || _parts[^1].Savepoints != savepoints)
        {
            _parts.Add(new Part(transaction, savepoints, builder.Extent));
        }

        return builder;
    }

    /// <inheritdoc cref="AtomicWriteBuilder.Build" />
    public AtomicWrite Build() => builder.Build();

    /// <inheritdoc cref="AtomicWriteBuilder.BuildAfter" />
    public AtomicWrite BuildAfter(WriteExtent start) => builder.BuildAfter(start);

    /// <summary>Drops what came in other transactions than this one.</summary>
    /// <param name="current">The transaction that is open; null for none.</param>
    /// <returns>How much that was.</returns>
    public int DropOthers(Guid? current)
    {
        var dropped = Drop(part => part.Transaction is { } transaction && transaction != current);
        IsUnclear &= dropped == 0;
        return dropped;
    }

    /// <summary>Drops what came in a transaction that was rolled back.</summary>
    public void Drop(Guid transaction)
    {
        Drop(part => part.Transaction == transaction);
        IsUnclear = false;
    }

    /// <summary>
    /// Drops what came after a savepoint that was rolled back to. EF Core does not tell which one, so there may be several answers: then
    /// nothing is dropped, and it is unclear from here on.
    /// </summary>
    /// <param name="transaction">The transaction.</param>
    /// <param name="savepoints">How many savepoints of the user's it had.</param>
    public void RollBackToSavepoint(Guid transaction, int savepoints)
    {
        IsUnclear |= IsAny(part => part.Transaction == transaction && part.Savepoints > 0 && part.Savepoints < savepoints);
        if (!IsUnclear)
        {
            Drop(part => part.Transaction == transaction && part.Savepoints > 0);
        }
    }

    /// <summary>Forgets the only savepoint of a transaction, whose parts belong to the transaction itself from here on.</summary>
    public void ReleaseSavepoint(Guid transaction)
    {
        for (var i = 0; i < _parts.Count; i++)
        {
            if (_parts[i].Transaction == transaction)
            {
                _parts[i] = _parts[i] with { Savepoints = 0 };
            }
        }
    }

    /// <summary>Drops everything.</summary>
    public void Clear() => Done(builder.Extent);

    /// <summary>Takes out what is committed: what there was up to a point.</summary>
    public void Done(WriteExtent upTo)
    {
        builder.Remove(default, upTo);
        Removals += upTo.Count > 0 ? 1 : 0;
        var last = _parts.FindLastIndex(part => part.Start.Count <= upTo.Count);
        _parts.RemoveRange(0, Math.Max(last, 0));
        for (var i = 0; i < _parts.Count; i++)
        {
            _parts[i] = _parts[i] with { Start = i == 0 && last >= 0 ? default : _parts[i].Start - upTo };
        }

        IsUnclear = false;
    }

    private bool IsAny(Predicate<Part> which)
    {
        for (var i = 0; i < _parts.Count; i++)
        {
            if (which(_parts[i]) && EndOf(i) != _parts[i].Start)
            {
                return true;
            }
        }

        return false;
    }

    private int Drop(Predicate<Part> which)
    {
        var dropped = 0;
        for (var i = _parts.Count - 1; i >= 0; i--)
        {
            if (!which(_parts[i]))
            {
                continue;
            }

            var (start, end) = (_parts[i].Start, EndOf(i));
            builder.Remove(start, end);
            Removals += start == end ? 0 : 1;
            dropped += (end - start).Count;
            _parts.RemoveAt(i);
            for (var later = i; later < _parts.Count; later++)
            {
                _parts[later] = _parts[later] with { Start = _parts[later].Start - (end - start) };
            }
        }

        return dropped;
    }

    private WriteExtent EndOf(int part) => part + 1 < _parts.Count ? _parts[part + 1].Start : builder.Extent;

    /// <param name="Transaction">The transaction that it came in; null for none.</param>
    /// <param name="Savepoints">How many savepoints of the user's there were.</param>
    /// <param name="Start">Where it begins.</param>
    [StructLayout(LayoutKind.Auto)]
    private readonly record struct Part(Guid? Transaction, int Savepoints, WriteExtent Start);
}
