using Kv.Connections;

namespace Kv.Tests.Units;

public sealed class RetryTests
{
    private readonly List<Backoff?> _tries = [];

    [Fact]
    public async Task A_step_that_succeeds_runs_once_and_is_not_classified()
    {
        var answer = await RunAsync(static _ => 7, static (_, _) => throw new InvalidOperationException("Nothing failed."));

        Assert.Equal(7, answer);
        Assert.Equal([null], _tries);
    }

    [Fact]
    public async Task What_passes_is_tried_again_with_the_waits_so_far_and_the_error_before()
    {
        var waits = AtOnce();
        List<Exception?> before = [];
        var answer = await RunAsync(
            tries =>
            {
                before.Add(waits.Last);
                return tries < 3 ? throw new TimeoutException($"Try {tries}") : tries;
            },
            (_, so) => so ?? waits);

        Assert.Equal(3, answer);
        Assert.Equal([null, waits, waits], _tries);
        Assert.Equal([null, "Try 1", "Try 2"], before.Select(static error => error?.Message));
    }

    [Fact]
    public async Task Waits_that_begin_anew_take_the_place_of_those_so_far()
    {
        var (first, second) = (AtOnce(), AtOnce());

        await RunAsync(static tries => tries < 3 ? throw new TimeoutException() : tries, (_, so) => so is null ? first : second);

        Assert.Equal([null, first, second], _tries);
    }

    [Fact]
    public async Task An_error_that_another_try_would_meet_again_is_thrown_on_as_it_is()
    {
        var error = new FormatException();

        Assert.Same(error, await Assert.ThrowsAsync<FormatException>(() => RunAsync(_ => throw error, static (_, _) => null)));
        Assert.Equal([null], _tries);
    }

    [Fact]
    public async Task An_error_that_callers_get_instead_is_thrown_by_what_classifies() =>
        await Assert.ThrowsAsync<KvException>(() => RunAsync(
            static _ => throw new FormatException(),
            static (error, _) => throw new KvException(KvErrorKind.Refused, "The database refused it.", error)));

    [Fact]
    public async Task A_caller_whose_time_is_over_gets_the_error_for_it_with_the_last_one_as_its_cause()
    {
        var told = await Assert.ThrowsAsync<KvException>(() => RunAsync(
            static tries => throw new TimeoutException($"Try {tries}"),
            static (_, so) => so is null ? AtOnce() : Spent(),
            static error => new KvException(KvErrorKind.Unavailable, "Not in time.", error)));

        Assert.Equal("Try 2", told.InnerException?.Message);
        Assert.Equal(2, _tries.Count);
    }

    [Fact]
    public async Task A_caller_that_gets_the_last_error_itself_sees_where_it_was_thrown()
    {
        var told = await Assert.ThrowsAsync<TimeoutException>(() => RunAsync(static _ => Fail(), static (_, _) => Spent()));

        Assert.Contains(nameof(Fail), told.StackTrace, StringComparison.Ordinal);

        static int Fail() => throw new TimeoutException();
    }

    [Fact]
    public async Task A_step_that_is_not_given_up_goes_on_in_a_new_time()
    {
        var answer = await RunAsync(
            static tries => tries < 3 ? throw new TimeoutException() : tries, static (_, _) => Spent(), static _ => null);

        Assert.Equal(3, answer);
        Assert.Equal([null, null, null], _tries);
    }

    [Fact]
    public async Task Cancellation_ends_a_wait()
    {
        using var cancel = new CancellationTokenSource();
        var hour = TimeSpan.FromHours(1);
        var running = RunAsync(
            static _ => throw new TimeoutException(),
            (_, _) => new Backoff(hour, hour, TimeSpan.MaxValue),
            cancellationToken: cancel.Token);

        await cancel.CancelAsync();

        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running.WaitAsync(Rows.Patience));
        Assert.Equal(cancel.Token, error.CancellationToken);
        Assert.Equal([null], _tries);
    }

    [Fact]
    public void Loops_that_fail_in_a_row_wait_ever_longer_up_to_a_bound()
    {
        Assert.Equal([100, 200, 400, 2000, 2000], ((int[])[1, 2, 3, 6, 1000]).Select(static f => Backoff.AfterRounds(f).TotalMilliseconds));
        Assert.Equal([1, 2, 4, 30, 30], ((int[])[1, 2, 3, 6, 1000]).Select(static f => Backoff.AfterTicks(f).TotalSeconds));
    }

    private static Backoff AtOnce() => new(TimeSpan.Zero, TimeSpan.Zero, TimeSpan.MaxValue);

    private static Backoff Spent() => new(TimeSpan.FromHours(1), TimeSpan.FromHours(1), TimeSpan.FromHours(1));

    private Task<int> RunAsync(
        Func<int, int> step,
        Func<Exception, Backoff?, Backoff?> classify,
        Func<Exception, Exception?>? giveUp = null,
        CancellationToken cancellationToken = default) => Retry.UntilAsync(
            backoff =>
            {
                _tries.Add(backoff);
                return new ValueTask<int>(step(_tries.Count));
            },
            classify,
            giveUp ?? (static error => error),
            cancellationToken).AsTask();
}
