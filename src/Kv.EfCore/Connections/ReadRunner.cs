using Kv.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Kv.Connections;

/// <summary>Runs reads on sessions of the pool.</summary>
/// <remarks>A read that fails for reasons of the connection or of the moment is safe to run again, so it is.</remarks>
internal sealed class ReadRunner(SessionPool pool, Driver driver, KvStoreOptions options, StoreHealth health, ILogger logger)
{
    private volatile bool _failing;

    /// <summary>Runs a read, on another connection if this one was at fault, for as long as a command may take.</summary>
    /// <param name="argument">What the read is given.</param>
    /// <param name="read">The read.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <param name="keep">Whether the read goes on after its first answer: then its session is the caller's to return.</param>
    /// <exception cref="KvException">
    /// The database did not answer in time (<see cref="KvErrorKind.Unavailable"/>), or refuses the read.
    /// </exception>
    public async ValueTask<TResult> RunAsync<TArgument, TResult>(
        TArgument argument, Func<Session, TArgument, CancellationToken, ValueTask<TResult>> read, CancellationToken cancellationToken, bool keep = false)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var startedAt = Environment.TickCount64;
        Tries? tries = null;
        using var interruption = driver.Interrupt(cancellationToken);
        var ends = interruption?.Token ?? cancellationToken;
        while (true)
        {
            Exception failure;
            try
            {
                var session = await pool.RentAsync(tries?.Token ?? ends).ConfigureAwait(false);
                var healthy = false;
                try
                {
                    var result = await read(session, argument, tries?.Token ?? ends).ConfigureAwait(false);
                    healthy = true;
                    if (_failing)
                    {
                        _failing = false;
                    }

                    tries?.Dispose();
                    return result;
                }
                catch (Exception error)
                {
                    session.Blame(error);
                    throw;
                }
                finally
                {
                    if (!healthy || !keep)
                    {
                        await pool.ReturnAsync(session, healthy).ConfigureAwait(false);
                    }
                }
            }
            catch (Exception error)
            {
                failure = Passing(error, tries, cancellationToken);
            }

            // Without a session: who waits here takes none from others.
            tries ??= new Tries(options.CommandTimeout, startedAt, driver.Classify(failure) == Fault.Busy, ends);
            await WaitAsync(tries, failure, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The error for a caller whose read the database refuses, or could not go on with.</summary>
    public Exception Told(Exception error) => driver.Classify(error) != Fault.Permanent
        ? new KvException(KvErrorKind.Unavailable, $"The database ceased to answer a read ({DatabaseErrors.Text(error)}). Try again when it is back.", error)
        : DatabaseErrors.IsOfDatabase(error) && error is not KvException ? DatabaseErrors.Refused(driver, error, "a read") : error;

    /// <summary>An error after which the read may be run again; all others are thrown on, as the caller is to get them.</summary>
    private Exception Passing(Exception error, Tries? tries, CancellationToken cancellationToken)
    {
        if (driver.IsDamage(error))
        {
            health.Damaged(error);
        }

        if (error is OperationCanceledException)
        {
            if (tries is { Last: { } last, IsSpent: true } && !cancellationToken.IsCancellationRequested)
            {
                return last;
            }

            tries?.Dispose();
            throw cancellationToken.IsCancellationRequested ? new OperationCanceledException(error.Message, error, cancellationToken) : error;
        }

        if (driver.Classify(error) != Fault.Permanent)
        {
            return error;
        }

        tries?.Dispose();
        if (Told(error) is var told && told != error)
        {
            throw told;
        }

        System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(error);
        return error;
    }

    private async ValueTask WaitAsync(Tries tries, Exception failure, CancellationToken cancellationToken)
    {
        // Said once for a time in which the database is away, and not at each read that meets it.
        KvLog.ReadRetried(logger, _failing ? LogLevel.Debug : LogLevel.Warning, failure);
        _failing = true;
        tries.Last = failure;
        if (driver.IsSpent(failure))
        {
            await pool.ClearAsync().ConfigureAwait(false);
        }

        if (!await tries.WaitAsync(cancellationToken).ConfigureAwait(false))
        {
            tries.Dispose();
            throw new KvException(
                KvErrorKind.Unavailable,
                $"The database did not answer a read within {options.CommandTimeout.TotalSeconds:0.#} seconds ({DatabaseErrors.Text(failure)}). Try again when it is back.",
                failure);
        }
    }

    /// <summary>The tries of one read after the first: they end when its time is over, whatever they wait for.</summary>
    private sealed class Tries : IDisposable
    {
        private readonly CancellationTokenSource _end;
        private readonly Interruption _interruption;
        private readonly Backoff _backoff;

        public Tries(TimeSpan budget, long startedAt, bool isLocked, CancellationToken cancellationToken)
        {
            var before = TimeSpan.FromMilliseconds(Environment.TickCount64 - startedAt);
            var started = TimeProvider.System.GetTimestamp() - (long)(before.TotalSeconds * TimeProvider.System.TimestampFrequency);
            _backoff = isLocked ? Backoff.ForLocks(budget, started) : Backoff.ForConnections(budget, started);
            _end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            _interruption = new Interruption(_end.Token);
            _end.CancelAfter(_backoff.Left is var left && left > TimeSpan.Zero ? left : TimeSpan.Zero);
        }

        public CancellationToken Token => _interruption.Token;

        public Exception? Last { get; set; }

        public bool IsSpent => _backoff.Left <= TimeSpan.Zero;

        public ValueTask<bool> WaitAsync(CancellationToken cancellationToken) => _backoff.WaitAsync(cancellationToken);

        public void Dispose()
        {
            _interruption.Dispose();
            _end.Dispose();
        }
    }
}
