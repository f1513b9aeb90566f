using Kv.TestKit;
using Kv.Worker;

namespace Kv.Tests.Units;

public sealed class ClockGuardTests
{
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);

    [Fact]
    public void A_clock_that_was_set_makes_deadlines_doubtful_for_one_lease()
    {
        var time = new ManualTime();
        var clock = new ClockGuard(time, Lease);
        time.Advance(TimeSpan.FromHours(1));
        Assert.False(clock.HasStepped());
        Assert.True(clock.IsSteady);

        time.Step(TimeSpan.FromHours(1));
        Assert.True(clock.HasStepped());
        Assert.False(clock.IsSteady);
        time.Advance(Lease);
        Assert.False(clock.HasStepped());
        Assert.True(clock.IsSteady);

        time.Step(TimeSpan.FromHours(-1));
        Assert.True(clock.HasStepped());
    }
}
