using Kv.PostgreSql;
using Kv.Reads;

namespace Kv.Tests.Units;

public sealed class GetCoalescerTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public async Task A_read_that_was_given_up_and_fails_later_is_no_unobserved_exception(int before)
    {
        var failure = new IOException("The connection broke after the caller had left.");
        var unobserved = 0;
        EventHandler<UnobservedTaskExceptionEventArgs> observer = (_, e) =>
        {
            if (e.Exception.InnerExceptions.Contains(failure))
            {
                Interlocked.Increment(ref unobserved);
            }
        };
        TaskScheduler.UnobservedTaskException += observer;
        try
        {
            await GiveUpAsync(before, failure);

            // Off its stack, which holds its tasks.
            await Task.Yield();
            for (var i = 0; i < 3; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        }
        finally
        {
            TaskScheduler.UnobservedTaskException -= observer;
        }

        Assert.Equal(0, unobserved);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public async Task A_read_with_a_token_that_is_cancelled_already_is_not_sent(int before)
    {
        var alone = new TaskCompletionSource<Row?>();
        var sent = 0;
        var reads = new GetCoalescer(
            _ =>
            {
                sent++;
                return new ValueTask<Row?>(alone.Task);
            },
            keys =>
            {
                sent += keys.Count;
                return new ValueTask<Row?[]>(new Row?[keys.Count]);
            });
        var leading = Enumerable.Range(0, before).Select(_ => reads.GetAsync([1], default).AsTask()).ToArray();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reads.GetAsync([2], new CancellationToken(canceled: true)).AsTask());
        alone.SetResult(null);
        await Task.WhenAll(leading);
        await reads.GetAsync([3], default);

        Assert.Equal(before + 1, sent);
    }

    private static async Task GiveUpAsync(int before, Exception failure)
    {
        var alone = new TaskCompletionSource<Row?>();
        var together = new TaskCompletionSource<Row?[]>();
        var asked = new TaskCompletionSource();
        var reads = new GetCoalescer(
            _ => new ValueTask<Row?>(alone.Task),
            _ =>
            {
                asked.SetResult();
                return new ValueTask<Row?[]>(together.Task);
            });
        var leading = Enumerable.Range(0, before).Select(_ => reads.GetAsync([1], default).AsTask()).ToArray();
        using var cancel = new CancellationTokenSource();
        var read = reads.GetAsync([2], cancel.Token).AsTask();

        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read);

        if (before == 0)
        {
            alone.SetException(failure);
            return;
        }

        // Those who lead are answered, and what waits behind them, given up or not, goes out together.
        alone.SetResult(null);
        await Task.WhenAll(leading);
        await asked.Task;
        together.SetException(failure);
    }
}
