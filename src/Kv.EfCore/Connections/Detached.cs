using System.Transactions;

namespace Kv.Connections;

/// <summary>Runs what outlives its caller, or serves others too, with nothing of the caller's.</summary>
/// <remarks>
/// An execution context carries the ambient transaction, the culture, the principal, the scopes of loggers and every AsyncLocal. A connection
/// that is opened in it enlists in the caller's transaction, and a handler that is started in it works for the caller that enqueued (decision 0035).
/// </remarks>
internal static class Detached
{
    private static readonly ExecutionContext Nothing = CaptureNothing();

    /// <summary>
    /// Leaves the caller's context behind for the rest of an async method. Nothing else may call it: by the rules of async methods, a caller that
    /// called this one has its own context again when the method first returns.
    /// </summary>
    public static void Enter() => ExecutionContext.Restore(Nothing);

    /// <summary>Runs something on a thread of the pool.</summary>
    public static async Task RunAsync(Func<Task> work)
    {
        Enter();
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        using var apart = Leftover();
        await work().ConfigureAwait(false);
    }

    /// <inheritdoc cref="RunAsync(Func{Task})" />
    public static async Task<T> RunAsync<T>(Func<Task<T>> work)
    {
        Enter();
        await Task.CompletedTask.ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        using var apart = Leftover();
        return await work().ConfigureAwait(false);
    }

    /// <summary>Runs something on the calling thread.</summary>
    public static T Run<T>(Func<T> work)
    {
        var result = default(T)!;
        ExecutionContext.Run(
            Nothing,
            _ =>
            {
                using var apart = AmbientTransaction.IsCurrent ? new TransactionScope(TransactionScopeOption.Suppress) : null;
                result = work();
            },
            null);
        return result;
    }

    // A scope that does not flow, in code that awaits, stays behind on the thread that it was opened on.
    private static TransactionScope? Leftover() =>
        AmbientTransaction.IsCurrent ? new TransactionScope(TransactionScopeOption.Suppress, TransactionScopeAsyncFlowOption.Enabled) : null;

    private static ExecutionContext CaptureNothing()
    {
        // The one context that cannot be asked for: that of a thread which was given none.
        ExecutionContext? nothing = null;
        var thread = new Thread(() => nothing = ExecutionContext.Capture());
        thread.UnsafeStart();
        thread.Join();
        return nothing!;
    }
}
