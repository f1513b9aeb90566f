using System.Collections.Frozen;
using Kv.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Kv.Merges;

/// <summary>The merge operators of a store, by their names.</summary>
internal sealed class MergeTable
{
    /// <summary>From when on an operator is slow.</summary>
    public static readonly TimeSpan Slow = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan Silence = TimeSpan.FromMinutes(1);
    private readonly FrozenDictionary<string, MergeOperator> _operators;
    private readonly Dictionary<string, long> _warned = new(StringComparer.Ordinal);
    private readonly KvStoreOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;

    /// <param name="options">The store's options, with the operators that the application has added.</param>
    /// <param name="time">The clock that operators are measured by.</param>
    /// <param name="logger">Where to tell of slow ones.</param>
    public MergeTable(KvStoreOptions options, TimeProvider time, ILogger logger)
    {
        (_options, _time, _logger) = (options, time, logger);
        Dictionary<string, MergeOperator> all = new(StringComparer.Ordinal)
        {
            [KvMerge.Concat] = new ConcatMerge(),
            [KvMerge.Append] = new AppendMerge(),
            [KvMerge.MergePatch] = new PatchMerge(),
            [KvMerge.Union] = new UnionMerge(),
        };
        foreach (var (name, added) in options.Merges)
        {
            all[name] = (MergeOperator)added;
        }

        _operators = all.ToFrozenDictionary(StringComparer.Ordinal);
    }

    /// <summary>The largest value that a fold may make, in bytes.</summary>
    public int MaxValueSize => _options.MaxValueSize;

    /// <summary>The operator of a name.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public MergeOperator Find(string name, KvKey key) => _operators.TryGetValue(name, out var found)
        ? found
        : throw new ArgumentException(
            $"The store has no merge operator '{name}' to change {key} with; it has "
            + $"{string.Join(", ", _operators.Keys.Order(StringComparer.Ordinal))}. "
            + $"Add it to the store's options, in each process that writes with it: options.AddMerge(\"{name}\", ...).",
            nameof(name));

    /// <summary>Starts to measure a fold.</summary>
    public long Start() => _time.GetTimestamp();

    /// <summary>Tells of a fold that was slow: all writers have waited for it.</summary>
    public void End(MergeOperator merge, long startedAt, int size)
    {
        var took = _time.GetElapsedTime(startedAt);
        if (took > Slow && MayWarn(merge.Name))
        {
            KvLog.MergeSlow(_logger, merge.Name, (long)took.TotalMilliseconds, size);
        }
    }

    // A slow operator is slow again and again: the log says so once in a while.
    private bool MayWarn(string name)
    {
        lock (_warned)
        {
            if (_warned.TryGetValue(name, out var last) && _time.GetElapsedTime(last) < Silence)
            {
                return false;
            }

            _warned[name] = _time.GetTimestamp();
            return true;
        }
    }
}
