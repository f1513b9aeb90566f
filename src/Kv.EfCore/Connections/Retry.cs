using System.Runtime.ExceptionServices;

namespace Kv.Connections;

/// <summary>Runs a step until it succeeds, fails with what another try would meet again, or has no time left.</summary>
/// <remarks>
/// The functions are given a state, so that those of a hot path capture nothing: a first try that succeeds allocates neither closures nor
/// waits. Steps of hot paths take their state machines from a pool (<c>PoolingAsyncValueTaskMethodBuilder</c>), since this method's own
/// comes on top of them.
/// </remarks>
internal static class Retry
{
    /// <summary>Runs a step until it succeeds.</summary>
    /// <param name="state">What the functions work on.</param>
    /// <param name="step">One try. It is given the waits so far, with what is left of the time; null at first.</param>
    /// <param name="classify">
    /// What an error means: the waits to go on with (those so far, or new ones), or null to throw it on. An error that callers are to get
    /// instead is thrown from here.
    /// </param>
    /// <param name="giveUp">
    /// The error for a caller whose time is over. Null where the step is to go on, in a new time: it has other callers, which have some
    /// left.
    /// </param>
    /// <param name="cancellationToken">Ends the waits; the step has its own way to know.</param>
    public static ValueTask<TResult> UntilAsync<TState, TResult>(
        TState state,
        Func<TState, Backoff?, ValueTask<TResult>> step,
        Func<TState, Exception, Backoff?, Backoff?> classify,
        Func<TState, Exception, Exception?> giveUp,
        CancellationToken cancellationToken)
    {
        // Reads of SQLite have succeeded by now, and need no state machine besides their own.
        var first = Try(state, step, null);
        return first.IsCompletedSuccessfully ? first : GoOnAsync(first, state, step, classify, giveUp, cancellationToken);
    }

    /// <summary>Runs a step until it succeeds, of a path on which closures do no harm.</summary>
    /// <inheritdoc cref="UntilAsync{TState, TResult}" />
    public static ValueTask<TResult> UntilAsync<TResult>(
        Func<Backoff?, ValueTask<TResult>> step,
        Func<Exception, Backoff?, Backoff?> classify,
        Func<Exception, Exception?> giveUp,
        CancellationToken cancellationToken) => UntilAsync(
            (Step: step, Classify: classify, GiveUp: giveUp),
            static (of, backoff) => of.Step(backoff),
            static (of, error, backoff) => of.Classify(error, backoff),
            static (of, error) => of.GiveUp(error),
            cancellationToken);

    private static async ValueTask<TResult> GoOnAsync<TState, TResult>(
        ValueTask<TResult> attempt,
        TState state,
        Func<TState, Backoff?, ValueTask<TResult>> step,
        Func<TState, Exception, Backoff?, Backoff?> classify,
        Func<TState, Exception, Exception?> giveUp,
        CancellationToken cancellationToken)
    {
        Backoff? backoff = null;
        while (true)
        {
            Exception failure;
            try
            {
                return await attempt.ConfigureAwait(false);
            }
            catch (Exception error)
            {
                if (classify(state, error, backoff) is not { } waits)
                {
                    throw;
                }

                (backoff, failure) = (waits, error);
            }

            backoff.Last = failure;
            if (!await backoff.WaitAsync(cancellationToken).ConfigureAwait(false))
            {
                if (giveUp(state, failure) is { } told)
                {
                    // Where it is the step's own error, it keeps its stack.
                    ExceptionDispatchInfo.Throw(told);
                }

                backoff = null;
            }

            attempt = Try(state, step, backoff);
        }
    }

    /// <summary>Runs a step once. It never throws: a step may do so before it has a task.</summary>
    private static ValueTask<TResult> Try<TState, TResult>(
        TState state, Func<TState, Backoff?, ValueTask<TResult>> step, Backoff? backoff)
    {
        try
        {
            return step(state, backoff);
        }
        catch (Exception error)
        {
            return ValueTask.FromException<TResult>(error);
        }
    }
}
