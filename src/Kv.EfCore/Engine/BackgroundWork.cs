using Kv.Connections;

namespace Kv.Engine;

/// <summary>What an open store does by itself: it deletes what has expired, and maintains itself where it has a policy.</summary>
/// <param name="sweeper">Deletes what has expired.</param>
/// <param name="maintainer">Asks the policy.</param>
/// <param name="clock">The store's clock.</param>
internal sealed class BackgroundWork(ExpirySweeper sweeper, Maintainer maintainer, StoreClock clock)
{
    private static readonly TimeSpan SweepAfter = TimeSpan.FromSeconds(1);
    private readonly TaskCompletionSource _answered = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _running = Task.CompletedTask;

    /// <summary>Done when nothing of it runs any more.</summary>
    public Task Completion => _running;

    /// <summary>A call was answered.</summary>
    public void Answered() => _answered.TrySetResult();

    /// <summary>Begins, unless it runs already.</summary>
    /// <param name="ending">Ends it.</param>
    public void Begin(CancellationToken ending) =>
        _running = _running.IsCompleted ? Task.WhenAll(SweepAsync(ending), maintainer.LoopAsync(ending)) : _running;

    // The caller that opened the store waits for an answer. A look meanwhile would take a connection of its own, for which EF Core makes
    // all its services; after the answer there is one to spare. What runs in a transaction of the user's gives none back.
    private async Task SweepAsync(CancellationToken ending)
    {
        // It outlives the call that opened the store.
        Detached.Enter();
        try
        {
            await _answered.Task.WaitAsync(SweepAfter, clock.Time, ending).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // Long enough.
        }
        catch (OperationCanceledException)
        {
            return;
        }

        await sweeper.RunAsync(ending).ConfigureAwait(false);
    }
}
