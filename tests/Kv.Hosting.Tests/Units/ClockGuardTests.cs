using Kv.Worker;

namespace Kv.Tests.Units;

public sealed class ClockGuardTests
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);

    [Fact]
    public void A_clock_that_was_set_makes_deadlines_doubtful_for_one_lease()
    {
        var time = new StepTime();
        var clock = new ClockGuard(time, Lease);
        time.Pass(TimeSpan.FromHours(1));
        Assert.False(clock.HasStepped());
        Assert.True(clock.IsSteady);

        time.Step(TimeSpan.FromHours(1));
        Assert.True(clock.HasStepped());
        Assert.False(clock.IsSteady);
        time.Pass(Lease);
        Assert.False(clock.HasStepped());
        Assert.True(clock.IsSteady);

        time.Step(TimeSpan.FromHours(-1));
        Assert.True(clock.HasStepped());
    }

    private sealed class StepTime : TimeProvider
    {
        private DateTimeOffset _wall = DateTimeOffset.UnixEpoch;
        private long _monotonic;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override DateTimeOffset GetUtcNow() => _wall;

        public override long GetTimestamp() => _monotonic;

        public void Step(TimeSpan by) => _wall += by;

        public void Pass(TimeSpan by)
        {
            _wall += by;
            _monotonic += by.Ticks;
        }
    }
}
