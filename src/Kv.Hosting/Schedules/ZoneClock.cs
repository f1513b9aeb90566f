namespace Kv.Schedules;

/// <summary>What a zone's clock shows, in ticks: of UTC on one side, of the clock's face on the other.</summary>
/// <remarks>
/// It asks the zone only for the offset at a time of UTC. What TimeZoneInfo says of local times (IsInvalidTime, IsAmbiguousTime,
/// GetUtcOffset(DateTime)) is wrong for zones with negative daylight saving or a change of their base offset, such as Europe/Dublin.
/// </remarks>
internal readonly struct ZoneClock(TimeZoneInfo zone)
{
    // No zone sets its clock forth and back within one.
    private const long Step = 6 * TimeSpan.TicksPerHour;

    // Offsets are -14 to 14 hours: what a clock showed longer ago than the difference, it has passed for good.
    private const long LongestRepetition = 28 * TimeSpan.TicksPerHour;

    /// <summary>How far the clock is ahead of UTC.</summary>
    public long OffsetAt(long time) => zone.GetUtcOffset(new DateTimeOffset(time, TimeSpan.Zero)).Ticks;

    /// <summary>The first time at which the clock is set, after one time and up to another; null if it is not.</summary>
    public long? NextChange(long after, long upTo)
    {
        var offset = OffsetAt(after);
        for (var low = after; low < upTo;)
        {
            var high = Math.Min(low + Step, upTo);
            if (OffsetAt(high) == offset)
            {
                low = high;
                continue;
            }

            while (high - low > 1)
            {
                var middle = low + ((high - low) / 2);
                (low, high) = OffsetAt(middle) == offset ? (middle, high) : (low, middle);
            }

            return high;
        }

        return null;
    }

    /// <summary>
    /// The latest that the clock has shown up to a time; it shows something earlier for as long as it repeats what it was set back by.
    /// </summary>
    public long LatestShown(long time)
    {
        var from = Math.Max(0, time - LongestRepetition);
        var latest = time + OffsetAt(time);
        while (NextChange(from, time) is { } change)
        {
            latest = Math.Max(latest, change - 1 + OffsetAt(change - 1));
            from = change;
        }

        return latest;
    }
}
