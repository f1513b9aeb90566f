using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using Kv.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Kv.Connections;

/// <summary>Runs reads on sessions of the pool, or on the replica's where it has one that serves them.</summary>
/// <remarks>A read that fails for reasons of the connection or of the moment is safe to run again, so it is.</remarks>
internal sealed class ReadRunner(
    SessionPool pool, Driver driver, KvStoreOptions options, StoreHealth health, StoreMetrics metrics, ILogger logger)
{
    private volatile bool _failing;

    /// <summary>What is asked first; null where all reads are to see what was committed.</summary>
    public Replica? Replica { get; init; }

    /// <summary>Runs a read, on another connection if this one was at fault, for as long as a command may take.</summary>
    /// <param name="argument">What the read is given.</param>
    /// <param name="read">The read.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <param name="keep">Whether the read goes on after its first answer: then its session is the caller's to return.</param>
    /// <exception cref="KvException">
    /// The database did not answer in time (<see cref="KvErrorKind.Unavailable"/>), or refuses the read.
    /// </exception>
    public ValueTask<TResult> RunAsync<TArgument, TResult>(
        TArgument argument,
        Func<Session, TArgument, CancellationToken, ValueTask<TResult>> read,
        CancellationToken cancellationToken,
        bool keep = false)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return ValueTask.FromCanceled<TResult>(cancellationToken);
        }

        var call = new Call<TArgument, TResult>(this, argument, read, keep, Environment.TickCount64, cancellationToken);
        return Replica is { Serves: true } replica ? RunThereAsync(call, replica) : RunHereAsync(call);
    }

    /// <summary>Takes back the session of a read that went on after its first answer.</summary>
    public ValueTask ReturnAsync(Session session, bool healthy) => (session.Pool ?? pool).ReturnAsync(session, healthy);

    private static ValueTask<TResult> RunHereAsync<TArgument, TResult>(in Call<TArgument, TResult> call) => Retry.UntilAsync(
        call,
        static (call, backoff) => call.Runner.TryAsync(call, backoff),
        static (call, error, backoff) => call.Runner.Classify(error, backoff, call.StartedAt, call.CancellationToken),
        static (call, error) => call.Runner.OutOfTime(error),
        call.CancellationToken);

    private static async ValueTask<TResult> RunThereAsync<TArgument, TResult>(Call<TArgument, TResult> call, Replica replica)
    {
        var (served, result) = await replica.TryAsync(call.Argument, call.Read, call.Keep, call.CancellationToken).ConfigureAwait(false);
        return served ? result : await RunHereAsync(call).ConfigureAwait(false);
    }

    /// <summary>The error for a caller whose read the database refuses, or could not go on with.</summary>
    public Exception Told(Exception error) => driver.Classify(error) != Fault.Permanent
        ? new KvException(
            KvErrorKind.Unavailable,
            $"The database ceased to answer a read ({DatabaseErrors.Text(error)}). Try again when it is back.",
            error)
        : DatabaseErrors.IsOfDatabase(error) && error is not KvException ? DatabaseErrors.Refused(driver, error, "a read") : error;

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<TResult> TryAsync<TArgument, TResult>(Call<TArgument, TResult> call, Backoff? backoff)
    {
        using var deadline = backoff is null ? null : new Deadline(backoff.Left, call.CancellationToken);
        using var interruption = deadline is null ? driver.Interrupt(call.CancellationToken) : null;
        var ends = deadline?.Token ?? interruption?.Token ?? call.CancellationToken;
        try
        {
            var session = await pool.RentAsync(ends).ConfigureAwait(false);
            var healthy = false;
            try
            {
                var result = await call.Read(session, call.Argument, ends).ConfigureAwait(false);
                healthy = true;
                if (_failing)
                {
                    _failing = false;
                }

                return result;
            }
            catch (Exception error)
            {
                session.Blame(error);
                throw;
            }
            finally
            {
                if (!healthy || !call.Keep)
                {
                    await pool.ReturnAsync(session, healthy).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException) when (deadline is { IsOver: true } && !call.CancellationToken.IsCancellationRequested)
        {
            // That time is over says less than what took it.
            ExceptionDispatchInfo.Throw(backoff!.Last!);
            throw;
        }
        catch (Exception error) when (driver.Classify(error) != Fault.Permanent && driver.IsSpent(error))
        {
            await pool.ClearAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>The waits after an error that may pass; all others are thrown on, as the caller is to get them.</summary>
    private Backoff? Classify(Exception error, Backoff? backoff, long startedAt, CancellationToken cancellationToken)
    {
        if (driver.IsDamage(error))
        {
            health.Damaged(error);
        }

        if (error is OperationCanceledException)
        {
            return cancellationToken.IsCancellationRequested
                ? throw new OperationCanceledException(error.Message, error, cancellationToken)
                : null;
        }

        var fault = driver.Classify(error);
        if (fault == Fault.Permanent)
        {
            return Told(error) is var told && told != error ? throw told : null;
        }

        // Said once for a time in which the database is away, and not at each read that meets it.
        KvLog.ReadRetried(logger, _failing ? LogLevel.Debug : LogLevel.Warning, error);
        _failing = true;
        metrics.Retried("read");
        return backoff ?? Backoff.For(fault, options.CommandTimeout, Timestamp(startedAt));
    }

    private KvException OutOfTime(Exception error) => new(
        KvErrorKind.Unavailable,
        $"The database did not answer a read within {options.CommandTimeout.TotalSeconds:0.#} seconds ({DatabaseErrors.Text(error)}). "
        + "Try again when it is back.",
        error);

    /// <summary>What the clock of the waits showed at a moment that the cheaper one of reads that succeed has noted.</summary>
    private static long Timestamp(long startedAt)
    {
        var before = TimeSpan.FromMilliseconds(Environment.TickCount64 - startedAt);
        return TimeProvider.System.GetTimestamp() - (long)(before.TotalSeconds * TimeProvider.System.TimestampFrequency);
    }

    /// <summary>A read that a caller waits for.</summary>
    private readonly record struct Call<TArgument, TResult>(
        ReadRunner Runner,
        TArgument Argument,
        Func<Session, TArgument, CancellationToken, ValueTask<TResult>> Read,
        bool Keep,
        long StartedAt,
        CancellationToken CancellationToken);

    /// <summary>The end of a try after the first: when the caller's time is over, whatever the try waits for.</summary>
    private sealed class Deadline : IDisposable
    {
        private readonly CancellationTokenSource _end;
        private readonly Interruption _interruption;

        public Deadline(TimeSpan left, CancellationToken cancellationToken)
        {
            _end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            _interruption = new Interruption(_end.Token);
            _end.CancelAfter(left > TimeSpan.Zero ? left : TimeSpan.Zero);
        }

        public CancellationToken Token => _interruption.Token;

        public bool IsOver => _end.IsCancellationRequested;

        public void Dispose()
        {
            _interruption.Dispose();
            _end.Dispose();
        }
    }
}
