namespace Kv.Schedules;

/// <summary>
/// Which ticks of a schedule became messages, noted with it: runs of ticks without a gap, from the first to the last of each, of which the
/// newest few are kept. Where a clock was ahead, what it enqueued early is a run of its own, which is passed over when its time comes.
/// </summary>
internal sealed class TickRuns
{
    private const int Most = 8;
    private static readonly long End = DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();
    private readonly KvSchedule _schedule;
    private readonly List<(long From, long To)> _runs;

    /// <param name="schedule">The schedule.</param>
    /// <param name="noted">
    /// What was noted: each run as its first and its last tick in Unix milliseconds. What is none is passed over.
    /// </param>
    public TickRuns(KvSchedule schedule, long[][]? noted)
    {
        _schedule = schedule;
        _runs =
        [
            .. (noted ?? []).Where(static r => r is [>= 0 and var from, var to] && from <= to && to <= End)
                .Select(static r => (r[0], r[1])).TakeLast(Most),
        ];
    }

    public long[][] Noted => [.. _runs.Select(static r => new[] { r.From, r.To })];

    public bool Has(DateTimeOffset tick) => Find(tick) is not null;

    /// <summary>The first tick after a time that has not become a message.</summary>
    public DateTimeOffset NextAfter(DateTimeOffset time)
    {
        var tick = _schedule.NextAfter(time);
        while (Find(tick) is { } run)
        {
            tick = _schedule.NextAfter(At(run.To));
        }

        return tick;
    }

    /// <summary>The last tick up to a time that has not become a message; null if there is none.</summary>
    /// <param name="first">A tick, at or before the time.</param>
    /// <param name="time">The time.</param>
    public DateTimeOffset? LastUpTo(DateTimeOffset first, DateTimeOffset time)
    {
        var last = _schedule.LastUpTo(first, time);
        while (Find(last) is { } run)
        {
            if (first >= At(run.From))
            {
                return null;
            }

            last = _schedule.LastUpTo(first, At(run.From - 1));
        }

        return last;
    }

    /// <summary>Notes a tick.</summary>
    public void Add(DateTimeOffset tick)
    {
        var run = (From: tick.ToUnixTimeMilliseconds(), To: tick.ToUnixTimeMilliseconds());
        if (_runs.FindIndex(r => _schedule.NextAfter(At(r.To)) == tick) is >= 0 and var before)
        {
            run.From = _runs[before].From;
            _runs.RemoveAt(before);
        }

        var following = _schedule.NextAfter(tick).ToUnixTimeMilliseconds();
        if (_runs.FindIndex(r => r.From == following) is >= 0 and var after)
        {
            run.To = _runs[after].To;
            _runs.RemoveAt(after);
        }

        _runs.Add(run);
        if (_runs.Count > Most)
        {
            _runs.RemoveAt(0);
        }
    }

    private (long From, long To)? Find(DateTimeOffset tick)
    {
        var at = tick.ToUnixTimeMilliseconds();
        return _runs.FindIndex(r => r.From <= at && at <= r.To) is >= 0 and var found ? _runs[found] : null;
    }

    private static DateTimeOffset At(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);
}
