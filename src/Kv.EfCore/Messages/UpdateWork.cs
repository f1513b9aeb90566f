using System.Globalization;
using Kv.Diagnostics;
using Kv.Sql;

namespace Kv.Messages;

/// <summary>A statement on a few rows that stands for itself. The answer is whether it met a row.</summary>
internal sealed class UpdateWork(string text, IReadOnlyList<(string Name, object? Value)> values) : Work<bool>
{
    /// <summary>One of <see cref="KvSql"/> that returns a row for each that it changed.</summary>
    public string Text { get; } = text;

    public IReadOnlyList<(string Name, object? Value)> Values { get; } = values;

    /// <summary>How durable its commit is; null for what the store's options say.</summary>
    public KvDurability? Durability { get; init; }

    /// <summary>What it is for.</summary>
    public CommitKinds Kinds { get; init; }

    /// <summary>Whether it takes to the disk what was committed before.</summary>
    public bool IsFlush => Durability == KvDurability.Full;

    /// <summary>The store's version when it ran as a flush; 0 before.</summary>
    public long Version { get; private set; }

    /// <summary>It met a row.</summary>
    /// <param name="first">What that has in its first column.</param>
    public void Meet(object first) => Version = IsFlush ? Convert.ToInt64(first, CultureInfo.InvariantCulture) : 0;

    /// <summary>
    /// Makes durable what was committed before. The answer is whether <see cref="Version"/> is known: not where it is only known that a
    /// commit whose answer was lost did happen.
    /// </summary>
    /// <param name="sql">The store's SQL.</param>
    /// <param name="kinds">What it is for.</param>
    /// <param name="askedAt">When its caller began to wait, as <see cref="TimeProvider.System"/> counts; null for now.</param>
    public static UpdateWork Flush(KvSql sql, CommitKinds kinds = CommitKinds.None, long? askedAt = null) =>
        new(sql.Flush, [])
        {
            Durability = KvDurability.Full,
            Kinds = kinds,
            AskedAt = askedAt ?? TimeProvider.System.GetTimestamp(),
        };
}
