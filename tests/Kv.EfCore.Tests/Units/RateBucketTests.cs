using FsCheck;
using FsCheck.Fluent;
using Kv.Messages;

namespace Kv.Tests.Units;

public sealed class RateBucketTests
{
    private const long Second = 1_000_000;
    private static readonly RateRule TenASecond = new(Second / 10, 5);

    // Microseconds; a real clock is far from 0 too.
    private const long Start = 1_000_000 * Second;

    // Times are given in milliseconds, so a burst below a millisecond's turns would be the limit.
    private static readonly Arbitrary<Crowd> Crowds = Arb.From(
        from interval in Gen.Elements<long>(1, 250, 1_000, 1_333, 100_000, Second, 60 * Second)
        from burst in Gen.Elements(1, 2, 5, 100)
        from size in Gen.Choose(1, 150)
        from spread in Gen.Elements<long>(0, 1, 20, 200)
        from lateness in Gen.Elements<long>(0, 1, 30)
        from pauses in Gen.Elements(0, 1, 3)
        from seed in Gen.Choose(0, int.MaxValue - 1)
        select new Crowd(new RateRule(interval, Math.Max(burst, (int)(1000 / interval))), size, spread, lateness, pauses, seed));

    [Fact]
    public void A_full_bucket_gives_its_burst_at_once_and_then_a_turn_an_interval()
    {
        var bucket = default(RateBucket);
        List<long> waits = [];
        for (var i = 0; i < 8; i++)
        {
            (var wait, bucket) = bucket.Take(Start, TenASecond, false);
            waits.Add(wait);
        }

        Assert.Equal([0, 0, 0, 0, 0, 100, 200, 300], waits);
    }

    [Fact]
    public void Who_comes_at_its_time_has_its_turn_and_who_comes_new_waits_behind_the_line()
    {
        var bucket = Empty();
        (var wait, bucket) = bucket.Take(Start, TenASecond, false);
        Assert.Equal(100, wait);
        (var last, bucket) = bucket.Take(Start + (Second / 20), TenASecond, false);
        Assert.Equal(150, last);

        (var now, bucket) = bucket.Take(Start + (Second / 10), TenASecond, true);
        Assert.Equal(0, now);
        (var behind, _) = bucket.Take(Start + (Second / 10), TenASecond, false);
        Assert.Equal(200, behind);
    }

    [Fact]
    public void It_fills_while_nobody_asks_but_never_over_its_burst()
    {
        var bucket = Empty();
        Assert.Equal(0, bucket.Take(Start + (Second / 10), TenASecond, false).Wait);
        var later = Start + (3600 * Second);
        List<long> waits = [];
        for (var i = 0; i < 6; i++)
        {
            (var wait, bucket) = bucket.Take(later, TenASecond, false);
            waits.Add(wait);
        }

        Assert.Equal([0, 0, 0, 0, 0, 100], waits);
    }

    [Fact]
    public void Those_who_come_late_together_get_new_times_one_after_the_other_before_who_comes_new()
    {
        var bucket = Empty();
        var later = Start + (3600 * Second);
        List<long> waits = [];
        for (var i = 0; i < 8; i++)
        {
            (var wait, bucket) = bucket.Take(later, TenASecond, true);
            waits.Add(wait);
        }

        Assert.Equal([0, 0, 0, 0, 0, 100, 200, 300], waits);
        Assert.Equal(400, bucket.Take(later, TenASecond, false).Wait);
    }

    [Fact]
    public void A_bucket_that_a_clock_far_ahead_has_kept_makes_nobody_wait_for_that_time()
    {
        var ahead = default(RateBucket);
        for (var i = 0; i < 20; i++)
        {
            (_, ahead) = ahead.Take(Start + (86_400 * Second), TenASecond, false);
        }

        (var wait, var bucket) = ahead.Take(Start, TenASecond, false);

        Assert.Equal(100, wait);
        Assert.Equal(0, bucket.Take(Start + (Second / 10), TenASecond, true).Wait);
    }

    [Fact]
    public void What_cannot_be_read_is_a_full_bucket()
    {
        var bucket = Empty();

        Assert.Equal(bucket, RateBucket.Read(bucket.Write()));
        Assert.Equal(default, RateBucket.Read([]));
        Assert.Equal(default, RateBucket.Read([1, 2, 3]));
    }

    [Fact]
    public void In_no_window_begin_more_than_the_burst_and_what_comes_in_it_and_nobody_waits_for_ever() =>
        FsCheck.Check.One(Config.QuickThrowOnFailure.WithMaxTest(500), Prop.ForAll(Crowds, crowd =>
        {
            var (begun, asked, end) = Simulate(crowd);
            var (interval, burst) = (crowd.Rule.Interval, crowd.Rule.Burst);
            for (var i = 0; i < begun.Count; i++)
            {
                for (var j = i; j < begun.Count; j++)
                {
                    if (j - i + 1 > burst + ((begun[j] - begun[i]) / interval))
                    {
                        return false;
                    }
                }
            }

            // All have begun, soon after the rate allows it, and few had to ask more than once or twice.
            return begun.Count == crowd.Size && begun[^1] <= end && asked <= crowd.Size * 6L;
        }));

    private static RateBucket Empty()
    {
        var bucket = default(RateBucket);
        for (var i = 0; i < TenASecond.Burst; i++)
        {
            (_, bucket) = bucket.Take(Start, TenASecond, false);
        }

        return bucket;
    }

    /// <summary>Messages that come over some time, come late at their turns, and meet pauses of the workers.</summary>
    private static (List<long> Begun, long Asked, long End) Simulate(Crowd crowd)
    {
        var random = new Random(crowd.Seed);
        var (interval, line) = (crowd.Rule.Interval, new PriorityQueue<bool, (long At, int Order)>());
        var order = 0;
        for (var i = 0; i < crowd.Size; i++)
        {
            line.Enqueue(false, (Start + random.NextInt64((crowd.Spread * interval) + 1), order++));
        }

        var span = (crowd.Size + crowd.Spread) * interval;
        var pauses = Enumerable.Range(0, crowd.Pauses).Select(_ => (At: Start + random.NextInt64(span), Length: random.NextInt64(20 * interval) + (10 * Second))).ToList();
        var lateness = (crowd.Lateness * interval) + Second;
        var (bucket, asked, now) = (default(RateBucket), 0L, Start);
        List<long> begun = [];
        while (asked < crowd.Size * 100L && line.TryDequeue(out var hasTime, out var due))
        {
            now = Math.Max(now, due.At);
            foreach (var (at, length) in pauses)
            {
                now = now >= at && now < at + length ? at + length : now;
            }

            asked++;
            (var wait, bucket) = bucket.Take(now, crowd.Rule, hasTime);
            if (wait == 0)
            {
                begun.Add(now);
                continue;
            }

            var late = random.Next(4) == 0 ? random.NextInt64((crowd.Lateness * interval) + 1) : 0;
            line.Enqueue(true, (now + (wait * 1000) + late, order++));
        }

        return (begun, asked, Start + (2 * span) + pauses.Sum(static p => p.Length) + (10 * lateness) + (crowd.Size * 2000L));
    }

    private sealed record Crowd(RateRule Rule, int Size, long Spread, long Lateness, int Pauses, int Seed);
}
