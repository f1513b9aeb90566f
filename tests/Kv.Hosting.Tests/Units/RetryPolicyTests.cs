namespace Kv.Tests.Units;

public sealed class RetryPolicyTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly Exception Error = new InvalidOperationException("No.");

    [Fact]
    public void Waits_grow_by_the_factor_up_to_the_longest()
    {
        var policy = KvRetryPolicy.Exponential(6, Second, TimeSpan.FromSeconds(20), factor: 3, jitter: 0);

        Assert.Equal([1, 3, 9, 20, 20, 20, null], Enumerable.Range(1, 7).Select(failures => policy.Next(Error, failures, 0.5)?.TotalSeconds));
    }

    [Fact]
    public void Jitter_spreads_a_wait_to_both_sides_and_never_beyond_the_longest()
    {
        var policy = KvRetryPolicy.Exponential(1000, Second, TimeSpan.FromSeconds(10), jitter: 0.5);
        Assert.Equal(Second * 0.5, policy.Next(Error, 1, 0));
        Assert.Equal(Second, policy.Next(Error, 1, 0.5));
        Assert.Equal(Second * 1.5, policy.Next(Error, 1, 1));

        var waits = Enumerable.Range(0, 1000).Select(i => policy.Next(Error, 900, i / 1000.0)!.Value.TotalSeconds).ToList();

        Assert.All(waits, static wait => Assert.InRange(wait, 5, 10));

        // What reached the longest wait together must not come back together.
        Assert.True(waits.Distinct().Count() >= 500);
    }

    [Fact]
    public void However_many_attempts_fail_there_is_a_wait_that_can_be_written()
    {
        var growing = KvRetryPolicy.Exponential(1000, TimeSpan.FromMilliseconds(1), TimeSpan.FromDays(30), factor: 100, jitter: 1);
        var none = KvRetryPolicy.Exponential(1000, TimeSpan.Zero, factor: 100, jitter: 1);
        var listed = KvRetryPolicy.Delays(Second, Second);
        for (var failures = 1; failures <= 1000; failures++)
        {
            Assert.InRange(growing.Next(Error, failures, 0.999)!.Value, TimeSpan.Zero, TimeSpan.FromDays(30));
            Assert.Equal(TimeSpan.Zero, none.Next(Error, failures, 0.999));
        }

        // Other programs may have written any count.
        Assert.Equal(Second, listed.Next(Error, -5, 0));
        Assert.Equal(Second, listed.Next(Error, int.MinValue, 0));
        Assert.Null(listed.Next(Error, int.MaxValue, 0));
    }

    [Fact]
    public void A_schedule_has_as_many_retries_as_waits_and_a_copy_of_them()
    {
        List<TimeSpan> waits = [Second, Second * 5];
        var policy = KvRetryPolicy.Delays(waits);
        waits.Clear();

        Assert.Equal(2, policy.Retries);
        Assert.Equal([Second, Second * 5, null], Enumerable.Range(1, 3).Select(failures => policy.Next(Error, failures, 0.9)));
        Assert.Null(KvRetryPolicy.Delays().Next(Error, 1, 0));
        Assert.Null(KvRetryPolicy.Never.Next(Error, 1, 0));
    }

    [Fact]
    public void The_first_rule_that_fits_an_exception_or_what_it_derives_from_counts()
    {
        var policy = KvRetryPolicy.Delays(Second)
            .On<FileNotFoundException>(KvRetryPolicy.Delays(Second * 2))
            .On<IOException>(KvRetryPolicy.Never)
            .On<DirectoryNotFoundException>(KvRetryPolicy.Delays(Second * 3));

        Assert.Equal(Second, policy.Next(new InvalidOperationException("No."), 1, 0));
        Assert.Equal(Second * 2, policy.Next(new FileNotFoundException(), 1, 0));
        Assert.Null(policy.Next(new IOException("No."), 1, 0));
        Assert.Null(policy.Next(new DirectoryNotFoundException(), 1, 0));
        Assert.Equal(Second, policy.Next(new AggregateException(new IOException("No.")), 1, 0));
    }

    [Fact]
    public void A_rule_counts_all_failures_of_the_message_and_leaves_the_policy_that_it_was_added_to()
    {
        var plain = KvRetryPolicy.Delays(Second);
        var ruled = plain.On<IOException>(KvRetryPolicy.Delays(Second * 2, Second * 4).On<EndOfStreamException>(KvRetryPolicy.Never));

        Assert.Equal(Second * 4, ruled.Next(new IOException("No."), 2, 0));
        Assert.Null(ruled.Next(new EndOfStreamException(), 1, 0));
        Assert.Null(plain.Next(new IOException("No."), 2, 0));
    }

    [Fact]
    public void Numbers_out_of_range_are_refused_and_the_bounds_are_not()
    {
        Refused("retries", static () => KvRetryPolicy.Exponential(-1, Second));
        Refused("retries", static () => KvRetryPolicy.Exponential(1001, Second));
        Refused("first", static () => KvRetryPolicy.Exponential(1, -Second));
        Refused("first", static () => KvRetryPolicy.Exponential(1, TimeSpan.FromHours(2)));
        Refused("longest", static () => KvRetryPolicy.Exponential(1, Second, TimeSpan.FromDays(31)));
        Refused("factor", static () => KvRetryPolicy.Exponential(1, Second, factor: 0.9));
        Refused("factor", static () => KvRetryPolicy.Exponential(1, Second, factor: double.NaN));
        Refused("factor", static () => KvRetryPolicy.Exponential(1, Second, factor: double.PositiveInfinity));
        Refused("jitter", static () => KvRetryPolicy.Exponential(1, Second, jitter: -0.1));
        Refused("jitter", static () => KvRetryPolicy.Exponential(1, Second, jitter: 1.1));
        Refused("jitter", static () => KvRetryPolicy.Exponential(1, Second, jitter: double.NaN));
        Refused("waits", static () => KvRetryPolicy.Delays(Second, -Second));
        Refused("waits", static () => KvRetryPolicy.Delays(TimeSpan.FromDays(31)));
        Refused("waits", static () => KvRetryPolicy.Delays([.. Enumerable.Repeat(Second, 1001)]));
        Assert.Throws<ArgumentNullException>(static () => KvRetryPolicy.Delays(null!));
        Assert.Throws<ArgumentNullException>(static () => KvRetryPolicy.Never.On<IOException>(null!));

        Assert.Equal(0, KvRetryPolicy.Exponential(0, TimeSpan.Zero, TimeSpan.Zero, factor: 1, jitter: 0).Retries);
        Assert.Equal(1000, KvRetryPolicy.Exponential(1000, TimeSpan.FromDays(30), TimeSpan.FromDays(30), factor: 100, jitter: 1).Retries);

        static void Refused(string parameter, Func<KvRetryPolicy> make) => Assert.Equal(parameter, Assert.Throws<ArgumentException>(make).ParamName);
    }
}
