using Kv.Keys;

namespace Kv;

/// <summary>A range of keys to list, count or delete: all keys below a prefix, a part of them, or everything between two keys.</summary>
public sealed class KvRange
{
    private readonly KvKey? _prefix;
    private readonly KvBound _start;
    private readonly KvBound _end;
    private readonly KvKey? _scope;
    private readonly int _commonSize;

    private KvRange(KvKey? prefix, KvBound start, KvBound end)
    {
        (_prefix, _start, _end) = (prefix, start, end);
        byte[] below = prefix?.Bytes ?? [];
        Start = start.First([.. below, 0x00]);
        End = end.After([.. below, 0xFF]);
        _commonSize = prefix is null ? Start.AsSpan().CommonPrefixLength(End) : below.Length;
    }

    private KvRange(KvRange range, KvKey scope)
    {
        (_prefix, _start, _end, _scope) = (range._prefix, range._start, range._end, scope);
        var size = scope.Bytes.Length;

        // The empty key is the scope's own name here, which is none of its keys.
        Start = [.. scope.Bytes, .. range.Start.Length == 0 ? [0x00] : range.Start];
        End = [.. scope.Bytes, .. range.End.Length == 0 ? [0x00] : range.End];
        _commonSize = size + range._commonSize;
    }

    /// <summary>The first encoded key of the range.</summary>
    internal byte[] Start { get; }

    /// <summary>The first encoded key after the range. A range whose end is not above its start is empty.</summary>
    internal byte[] End { get; }

    /// <summary>Every key.</summary>
    public static KvRange All { get; } = Prefix([]);

    /// <summary>All keys that begin with the parts of <paramref name="prefix"/> and have more; <c>[]</c> selects every key.</summary>
    /// <remarks>The prefix itself is not selected, and only whole parts match: <c>["a"]</c> does not select <c>["ab"]</c>.</remarks>
    public static KvRange Prefix(KvKey prefix) => Prefix(prefix, null, null);

    /// <summary>The keys below <paramref name="prefix"/>, from a start or up to an end.</summary>
    /// <param name="prefix">The parts that all selected keys begin with.</param>
    /// <param name="start">The first key, inclusive; it need not exist. Null: the first key below the prefix.</param>
    /// <param name="end">The last key, exclusive; it need not exist. Null: the last key below the prefix, inclusive.</param>
    /// <exception cref="ArgumentException">
    /// Start and end are both given (use <see cref="Between(KvKey, KvKey)"/>), or the one that is given is not below the prefix.
    /// </exception>
    public static KvRange Prefix(KvKey prefix, KvKey? start, KvKey? end)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        if (start is not null && end is not null)
        {
            throw new ArgumentException(
                "Selector can not specify both 'start' and 'end' key when specifying 'prefix'. "
                + $"Start {start} and end {end} say it all: use {nameof(KvRange)}.{nameof(Between)}(start, end).",
                nameof(end));
        }

        return Prefix(prefix, start is null ? KvBound.None : KvBound.Including(start), end is null ? KvBound.None : KvBound.Excluding(end));
    }

    /// <summary>The keys below <paramref name="prefix"/> between two bounds, each included, excluded or none.</summary>
    /// <param name="prefix">The parts that all selected keys begin with.</param>
    /// <param name="start">Where it begins; <see cref="KvBound.None"/>: with the first key below the prefix.</param>
    /// <param name="end">Where it ends; <see cref="KvBound.None"/>: with the last key below the prefix.</param>
    /// <exception cref="ArgumentException">A bound is not below the prefix, or the start's key sorts after that of the end.</exception>
    public static KvRange Prefix(KvKey prefix, KvBound start, KvBound end)
    {
        ArgumentNullException.ThrowIfNull(prefix);
        if (start.Key is { } first && !IsBelow(prefix, first))
        {
            throw new ArgumentException(
                $"Start key is not in the keyspace defined by prefix: {first} does not continue {prefix}. "
                + "Make the start with prefix.Append(...).",
                nameof(start));
        }

        if (end.Key is { } last && !IsBelow(prefix, last))
        {
            throw new ArgumentException(
                $"End key is not in the keyspace defined by prefix: {last} does not continue {prefix}. "
                + "Make the end with prefix.Append(...).",
                nameof(end));
        }

        RefuseReversed(start, end);
        return new(prefix, start, end);
    }

    /// <summary>The keys from <paramref name="start"/>, inclusive, up to <paramref name="end"/>, exclusive. Neither need exist.</summary>
    /// <exception cref="ArgumentException">The start sorts after the end, or one of them is null.</exception>
    public static KvRange Between(KvKey start, KvKey end)
    {
        if (start is null || end is null)
        {
            throw new ArgumentNullException(
                start is null ? nameof(start) : nameof(end),
                "Selector must specify either 'prefix' or both 'start' and 'end' key. "
                + $"Use {nameof(KvRange)}.{nameof(Prefix)}(prefix, start, end) for a range that is open at one side.");
        }

        return Between(KvBound.Including(start), KvBound.Excluding(end));
    }

    /// <summary>The keys between two bounds, each included, excluded or none.</summary>
    /// <param name="start">Where it begins; <see cref="KvBound.None"/>: with the first key of all.</param>
    /// <param name="end">Where it ends; <see cref="KvBound.None"/>: with the last key of all.</param>
    /// <exception cref="ArgumentException">The start's key sorts after that of the end.</exception>
    public static KvRange Between(KvBound start, KvBound end)
    {
        RefuseReversed(start, end);
        return new(null, start, end);
    }

    /// <summary>The cursor that resumes a listing of this range after the entry of <paramref name="key"/>.</summary>
    /// <returns>
    /// Text that is good for this range in either direction, on any store; the entry may be gone by then. It is the cursor of Deno KV,
    /// which says nothing of its range: of another one it is refused only where it names an entry outside of that. The cursor of a
    /// <see cref="KvPage"/> is refused by every other range, and so is that of an entry whose key all others of the range begin with, for
    /// which Deno has none.
    /// </returns>
    /// <exception cref="ArgumentException">The range does not have the key.</exception>
    public string CursorAt(KvKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        var bytes = key.Bytes.AsSpan();
        if (bytes.SequenceCompareTo(Start) < 0 || bytes.SequenceCompareTo(End) >= 0)
        {
            throw new ArgumentException(
                $"The key {key} is not in {this}. Pass a key that a listing of this range returned.",
                nameof(key));
        }

        // Of the entry that is the beginning of all others nothing is left, and an empty cursor would begin anew, as Deno's does.
        var tail = bytes[_commonSize..];
        return tail.IsEmpty ? Marked("") : Cursor.Encode(tail);
    }

    /// <summary>The cursor of a page: that of Deno, and what tells its range.</summary>
    internal string PageCursorAt(KvKey key) =>
        CursorAt(key) is var cursor && cursor.Contains(Cursor.Separator, StringComparison.Ordinal) ? cursor : Marked(cursor);

    private string Marked(string cursor) => $"{cursor}{Cursor.Separator}{Cursor.MarkOf(Start, End, _commonSize)}";

    /// <summary>The range as text for logs, such as <c>prefix ["users"], start ["users", 42]</c>.</summary>
    public override string ToString() => _scope is null ? Text : $"{Text} of the scope {_scope}";

    private string Text
    {
        get
        {
            // An included start and an excluded end are the usual ones.
            string?[] parts =
            [
                _prefix is null ? null : $"prefix {_prefix}",
                _start.Key is null ? null : _start.IsIncluded ? $"start {_start.Key}" : $"start {_start}",
                _end.Key is null ? null : _end.IsIncluded ? $"end {_end}" : $"end {_end.Key}",
            ];
            return Array.TrueForAll(parts, static part => part is null)
                ? "all keys"
                : string.Join(", ", parts.Where(static part => part is not null));
        }
    }

    /// <summary>This range of the keys below a prefix.</summary>
    internal KvRange In(KvKey scope) => new(this, scope);

    /// <summary>What is left of the range after the entry that the cursor names; all of it without a cursor.</summary>
    internal (byte[] Start, byte[] End) Resume(string? cursor, bool reverse)
    {
        if (string.IsNullOrEmpty(cursor))
        {
            return (Start, End);
        }

        var isFirst = cursor[0] == Cursor.Separator && cursor == Marked("");
        var (rest, mark) = isFirst ? ([], null) : Cursor.Decode(cursor) ?? throw new ArgumentException(
            $"invalid cursor: '{Shortened(cursor)}' is not padded base64url. Pass a cursor unchanged as a listing gave it.",
            nameof(cursor));
        if (mark is not null && mark != Cursor.MarkOf(Start, End, _commonSize))
        {
            throw new ArgumentException(
                $"cursor of another range: '{Shortened(cursor)}' was not given by a page of {this}, and resuming there would leave entries "
                + "out. Resume with the range that gave the cursor.",
                nameof(cursor));
        }

        byte[] named = [.. Start.AsSpan(0, _commonSize), .. rest];

        // Deno looks at a given start or end only, and in one direction each. What names no entry of the range is a mistake either way.
        if (named.AsSpan().SequenceCompareTo(Start) < 0 || named.AsSpan().SequenceCompareTo(End) >= 0)
        {
            throw new ArgumentException(
                $"cursor out of bounds: '{Shortened(cursor)}' names an entry outside of {this}. "
                + "Resume with the range that gave the cursor.",
                nameof(cursor));
        }

        return reverse ? (Start, named) : ([.. named, 0x00], End);
    }

    private static void RefuseReversed(KvBound start, KvBound end)
    {
        if (start.Key is { } first && end.Key is { } last && first > last)
        {
            throw new ArgumentException(
                $"Start key is greater than end key: {first} sorts after {last}. "
                + "Swap them; for descending order list the range in reverse.",
                nameof(start));
        }
    }

    // Deno compares bytes here, and so takes ["a\0b"] for a key below ["a"]; an end like that selects keys outside of the prefix.
    private static bool IsBelow(KvKey prefix, KvKey key) => key != prefix && key.StartsWith(prefix);

    private static string Shortened(string cursor) => cursor.Length <= 64 ? cursor : $"{cursor.AsSpan(0, 64)}…";
}
