using Kv.Feed;

namespace Kv.Tests.Units;

public sealed class FeedProgressTests
{
    [Theory]
    [InlineData(0, 60_000)]
    [InlineData(59_000, 1_000)]
    [InlineData(59_999.5, 1)]
    [InlineData(60_000, 0)]
    [InlineData(70_000, 0)]
    public void What_is_left_is_whole_milliseconds_and_never_less_than_none(double passed, double left)
    {
        var time = new Passing();
        var progress = new FeedProgress(time, TimeSpan.FromSeconds(60), 5);
        time.Passed = TimeSpan.FromMilliseconds(passed);

        Assert.Equal(left, progress.DueIn(6).TotalMilliseconds);
        Assert.Equal(left == 0, progress.IsDue);
        Assert.Equal(Timeout.InfiniteTimeSpan, progress.DueIn(5));
    }

    [Fact]
    public void Time_that_passes_meanwhile_makes_no_wait_that_there_is_not()
    {
        var time = new Passing { Step = TimeSpan.FromMilliseconds(3) };
        var progress = new FeedProgress(time, TimeSpan.FromSeconds(60), 5);
        for (var at = 59_980; at < 60_010; at++)
        {
            time.Passed = TimeSpan.FromMilliseconds(at);
            Assert.InRange(progress.DueIn(6), TimeSpan.Zero, TimeSpan.FromSeconds(60));
        }
    }

    [Fact]
    public void A_version_that_was_told_is_no_news()
    {
        var progress = new FeedProgress(new Passing(), TimeSpan.FromSeconds(60), 5);

        progress.Told(7);

        Assert.False(progress.IsNews(7));
        Assert.True(progress.IsNews(8));
    }

    private sealed class Passing : TimeProvider
    {
        public TimeSpan Passed { get; set; }

        /// <summary>How much passes by each look.</summary>
        public TimeSpan Step { get; init; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => (Passed += Step).Ticks;
    }
}
