using Kv.Connections;

namespace Kv.Tests.Units;

public sealed class InterruptionTests
{
    [Fact]
    public async Task A_driver_that_throws_while_it_is_cancelled_does_not_hit_who_cancels()
    {
        using var cause = new CancellationTokenSource();
        using var interruption = new Interruption(cause.Token);
        var reached = new TaskCompletionSource();
        interruption.Token.Register(() =>
        {
            reached.SetResult();
            throw new ObjectDisposedException("the driver's connection");
        });

        cause.Cancel();

        await reached.Task.WaitAsync(Rows.Patience);
        Assert.True(interruption.Token.IsCancellationRequested);
    }

    [Fact]
    public async Task A_driver_that_hangs_while_it_is_cancelled_does_not_hold_up_who_cancels()
    {
        using var cause = new CancellationTokenSource();
        using var interruption = new Interruption(cause.Token);
        using var network = new ManualResetEventSlim();
        var over = new TaskCompletionSource();
        interruption.Token.Register(() =>
        {
            network.Wait(Rows.Patience);
            over.SetResult();
        });

        cause.Cancel();

        Assert.False(over.Task.IsCompleted);
        network.Set();
        await over.Task.WaitAsync(Rows.Patience);
    }

    [Fact]
    public void What_was_cancelled_before_is_cancelled_and_what_is_over_is_left_alone()
    {
        using var cause = new CancellationTokenSource();
        var over = new Interruption(cause.Token);
        over.Dispose();
        cause.Cancel();
        using var late = new Interruption(cause.Token);

        Assert.True(late.Token.WaitHandle.WaitOne(Rows.Patience));
        Assert.False(over.Token.IsCancellationRequested);
    }
}
