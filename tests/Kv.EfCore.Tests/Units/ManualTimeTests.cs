using Kv.TestKit;

namespace Kv.Tests.Units;

public sealed class ManualTimeTests
{
    private readonly ManualTime _time = new();
    private readonly List<string> _fired = [];

    [Fact]
    public void Time_stands_still_until_it_is_moved()
    {
        var now = _time.GetUtcNow();
        var timestamp = _time.GetTimestamp();

        _time.Advance(TimeSpan.FromSeconds(90));

        Assert.Equal(now.AddSeconds(90), _time.GetUtcNow());
        Assert.Equal(TimeSpan.FromSeconds(90), _time.GetElapsedTime(timestamp));
    }

    [Fact]
    public void Timers_fire_in_the_order_of_their_times_and_see_their_own_time()
    {
        var start = _time.GetUtcNow();
        using var late = Timer("late", 3);
        using var early = Timer("early", 1);
        using var alsoEarly = Timer("also early", 1);

        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(["early at 1", "also early at 1"], _fired);

        _time.SetUtcNow(start.AddSeconds(10));
        Assert.Equal(["early at 1", "also early at 1", "late at 3"], _fired);
        Assert.Equal(start.AddSeconds(10), _time.GetUtcNow());
    }

    [Fact]
    public void A_periodic_timer_fires_once_for_every_period_that_passes()
    {
        using var timer = Timer("tick", 1, period: 2);

        _time.Advance(TimeSpan.FromSeconds(5));

        Assert.Equal(["tick at 1", "tick at 3", "tick at 5"], _fired);
    }

    [Fact]
    public async Task A_timer_that_is_due_now_fires_at_once_and_not_within_the_call_that_sets_it()
    {
        var gate = new Lock();
        var isSet = false;
        var fired = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        ITimer timer;
        lock (gate)
        {
            timer = _time.CreateTimer(_ => Fire(), null, TimeSpan.Zero, Timeout.InfiniteTimeSpan);
            isSet = true;
        }

        Assert.True(await fired.Task.WaitAsync(TimeSpan.FromSeconds(30)));
        Assert.Null(_time.NextTimer);
        await timer.DisposeAsync();

        void Fire()
        {
            // Only the thread that sets the timer comes in here while the lock is held.
            lock (gate)
            {
                fired.SetResult(isSet);
            }
        }
    }

    [Fact]
    public void A_timer_runs_with_what_was_around_its_maker_and_not_around_the_move()
    {
        var around = new AsyncLocal<string> { Value = "maker" };
        string? seen = null;
        using var timer = _time.CreateTimer(_ => seen = around.Value, null, TimeSpan.FromSeconds(1), Timeout.InfiniteTimeSpan);
        around.Value = "move";

        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal("maker", seen);
        Assert.Equal("move", around.Value);
    }

    [Fact]
    public void A_wall_clock_that_is_set_alone_lets_no_time_pass()
    {
        var start = _time.GetUtcNow();
        using var timer = Timer("on time", 2);

        _time.Step(TimeSpan.FromHours(1));
        Assert.Equal(start.AddHours(1).AddSeconds(2), _time.NextTimer);
        Assert.Equal(0, _time.GetTimestamp());
        Assert.Empty(_fired);

        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(["on time at 3602"], _fired);
    }

    [Fact]
    public async Task Loops_rest_when_each_has_a_timer_that_fires_once()
    {
        using var periodic = Timer("tick", 1, period: 1);
        using var first = Timer("first", 1);
        var resting = _time.WhenRestingAsync(2);
        Assert.False(resting.IsCompleted);

        using var second = Timer("second", 5);

        await resting;
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(_time.WhenRestingAsync(2).IsCompleted);
    }

    [Fact]
    public async Task The_next_timer_is_waited_for_while_others_fire_go_and_are_set()
    {
        var start = _time.GetUtcNow();
        using var fires = Timer("fires", 1);
        var goes = Timer("goes", 2);
        using var stays = Timer("stays", 9);

        var fired = WaitFor(2);
        _time.Advance(TimeSpan.FromSeconds(1));
        await fired;
        var gone = WaitFor(9);
        await goes.DisposeAsync();
        await gone;
        var set = WaitFor(5);
        using var sets = Timer("sets", 4);
        await set;

        Task WaitFor(int seconds)
        {
            var waiting = _time.WhenNextTimerAsync(next => next == start.AddSeconds(seconds));
            Assert.False(waiting.IsCompleted);
            return waiting;
        }
    }

    [Fact]
    public void A_timer_set_by_another_timer_fires_in_the_same_move()
    {
        ITimer? second = null;
        using var first = _time.CreateTimer(_ => second = Timer("second", 1), null, TimeSpan.FromSeconds(1), Timeout.InfiniteTimeSpan);

        _time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal(["second at 2"], _fired);
        second!.Dispose();
    }

    [Fact]
    public void A_disposed_timer_stays_silent_and_cannot_be_set_again()
    {
        var timer = Timer("never", 1);
        timer.Dispose();

        Assert.False(timer.Change(TimeSpan.Zero, Timeout.InfiniteTimeSpan));
        _time.Advance(TimeSpan.FromSeconds(2));

        Assert.Empty(_fired);
    }

    [Fact]
    public void A_wall_clock_that_is_set_back_holds_up_no_timer()
    {
        var start = _time.GetUtcNow();
        using var timer = Timer("on time", 2);
        _time.Advance(TimeSpan.FromSeconds(1));

        _time.SetUtcNow(start.AddHours(-1));
        _time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(["on time at -3599"], _fired);
        Assert.Equal(TimeSpan.FromSeconds(2).Ticks, _time.GetTimestamp());
    }

    [Fact]
    public async Task A_delay_ends_when_its_time_comes()
    {
        var delay = Task.Delay(TimeSpan.FromMinutes(1), _time);
        _time.Advance(TimeSpan.FromSeconds(59));
        Assert.False(delay.IsCompleted);

        _time.Advance(TimeSpan.FromSeconds(1));

        await delay.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task Moves_from_many_threads_overlap_and_miss_no_timer()
    {
        var ticks = 0;
        using var timer = _time.CreateTimer(_ => Interlocked.Increment(ref ticks), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
        var start = _time.GetTimestamp();

        // A move ends at the time where it began plus its length, so moves at the same moment overlap, and none goes back.
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (var i = 0; i < 100; i++)
            {
                _time.Advance(TimeSpan.FromSeconds(1));
            }
        })));

        var passed = (int)_time.GetElapsedTime(start).TotalSeconds;
        Assert.InRange(passed, 100, 400);
        Assert.Equal(passed, ticks);
    }

    private ITimer Timer(string name, int due, int? period = null)
    {
        var start = new ManualTime().GetUtcNow();
        return _time.CreateTimer(
            _ => _fired.Add($"{name} at {(_time.GetUtcNow() - start).TotalSeconds}"),
            null,
            TimeSpan.FromSeconds(due),
            period is { } seconds ? TimeSpan.FromSeconds(seconds) : Timeout.InfiniteTimeSpan);
    }
}
