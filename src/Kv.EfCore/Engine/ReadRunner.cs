using Microsoft.Extensions.Logging;

namespace Kv.Engine;

/// <summary>Runs reads on sessions of the pool.</summary>
/// <remarks>A read that fails for reasons of the connection is safe to run again, so it is.</remarks>
internal sealed class ReadRunner(SessionPool pool, KvDialect dialect, KvStoreOptions options, ILogger logger)
{
    /// <summary>Runs a read, on another connection if this one was at fault, for as long as a command may take.</summary>
    /// <exception cref="KvException">The database did not answer in time (<see cref="KvError.Unavailable"/>).</exception>
    public async ValueTask<TResult> RunAsync<TArgument, TResult>(
        TArgument argument, Func<Session, TArgument, CancellationToken, ValueTask<TResult>> read, CancellationToken cancellationToken)
    {
        Backoff? backoff = null;
        using var interruption = dialect.IsRemote && cancellationToken.CanBeCanceled ? new Interruption(cancellationToken) : null;
        var driver = interruption?.Token ?? cancellationToken;
        while (true)
        {
            Exception failure;
            try
            {
                var session = await pool.RentAsync(driver).ConfigureAwait(false);
                var healthy = false;
                try
                {
                    var result = await read(session, argument, driver).ConfigureAwait(false);
                    healthy = true;
                    return result;
                }
                finally
                {
                    await pool.ReturnAsync(session, healthy).ConfigureAwait(false);
                }
            }
            catch (OperationCanceledException error) when (interruption is not null && cancellationToken.IsCancellationRequested)
            {
                throw new OperationCanceledException(error.Message, error, cancellationToken);
            }
            catch (Exception error) when (dialect.Classify(error) is Fault.Busy or Fault.Broken)
            {
                failure = error;
            }

            // Without a session: who waits here takes none from others.
            KvLog.ReadRetried(logger, failure);
            if (dialect.Classify(failure) == Fault.Broken)
            {
                await pool.ClearAsync().ConfigureAwait(false);
            }

            backoff ??= dialect.Classify(failure) == Fault.Busy ? Backoff.ForLocks(options.CommandTimeout) : Backoff.ForConnections(options.CommandTimeout);
            if (!await backoff.WaitAsync(cancellationToken).ConfigureAwait(false))
            {
                throw new KvException(
                    KvError.Unavailable,
                    $"The database did not answer a read within {options.CommandTimeout.TotalSeconds:0.#} seconds ({failure.Message}). Try again when it is back.",
                    failure);
            }
        }
    }
}
