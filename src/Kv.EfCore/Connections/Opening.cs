namespace Kv.Connections;

/// <summary>
/// Opens a store for all callers that want it at one moment: tries for as long as one of them waits, and each waits for its own time.
/// </summary>
/// <param name="open">Opens it once.</param>
/// <param name="driver">The database.</param>
/// <param name="longest">How long a caller waits.</param>
/// <param name="stop">Ends it all.</param>
internal sealed class Opening(Func<CancellationToken, Task> open, Driver driver, TimeSpan longest, CancellationToken stop)
{
    private readonly Lock _gate = new();
    private Round? _round;

    /// <summary>The tries that are under way, for what waits for their end.</summary>
    public Task Completion
    {
        get
        {
            lock (_gate)
            {
                return _round?.Ended ?? Task.CompletedTask;
            }
        }
    }

    /// <summary>Waits until the store is open.</summary>
    /// <exception cref="KvException">It was not in time, or cannot be opened at all.</exception>
    public async Task WaitAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var round = Enter();
        try
        {
            await round.Result.WaitAsync(longest, TimeProvider.System, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException late) when (!round.Result.IsCompleted)
        {
            var cause = round.Last ?? late;
            throw new KvException(
                KvErrorKind.Unavailable,
                $"The database could not be opened within {longest.TotalSeconds:0.#} seconds ({DatabaseErrors.Text(cause)}). "
                + "Nothing was read or written. Try again when it is back.",
                cause);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw StoreDisposed.Error();
        }
        finally
        {
            Leave(round);
        }
    }

    private Round Enter()
    {
        lock (_gate)
        {
            StoreDisposed.ThrowIf(stop.IsCancellationRequested);
            if (_round is null or { IsOver: true })
            {
                _round = new Round(open, driver, _round?.Ended ?? Task.CompletedTask, stop);
            }

            _round.Waiting++;
            return _round;
        }
    }

    private void Leave(Round round)
    {
        lock (_gate)
        {
            if (--round.Waiting == 0)
            {
                round.End();
            }
        }
    }

    /// <summary>Tries, from the first caller that waits to the last.</summary>
    private sealed class Round
    {
        private readonly CancellationTokenSource _end;
        private readonly TaskCompletionSource _result = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private volatile Exception? _last;

        public Round(Func<CancellationToken, Task> open, Driver driver, Task before, CancellationToken stop)
        {
            _end = CancellationTokenSource.CreateLinkedTokenSource(stop);
            _result.Task.Abandon();

            // It outlives the caller that came first, and is no part of its trace or transaction.
            Ended = Detached.RunAsync(() => RunAsync(open, driver, before));
        }

        public Task Result => _result.Task;

        public Task Ended { get; }

        /// <summary>Why the last try failed.</summary>
        public Exception? Last => _last;

        /// <summary>How many wait.</summary>
        public int Waiting { get; set; }

        /// <summary>Whether no caller can join in any more.</summary>
        public bool IsOver => _end.IsCancellationRequested || Result.IsCompleted;

        public void End() => _end.CancelAsync().Abandon();

        private async Task RunAsync(Func<CancellationToken, Task> open, Driver driver, Task before)
        {
            await before.ConfigureAwait(false);
            using var interruption = new Interruption(_end.Token);
            try
            {
                await Retry.UntilAsync(TryAsync, Classify, static error => error, _end.Token).ConfigureAwait(false);
                _result.TrySetResult();
            }
            catch (OperationCanceledException error)
            {
                _result.TrySetCanceled(error.CancellationToken);
            }
            catch (Exception error)
            {
                var isRefusal = error is not KvException && DatabaseErrors.IsOfDatabase(error);
                _result.TrySetException(isRefusal ? DatabaseErrors.Refused(driver, error, "to be opened") : error);
            }

            async ValueTask<bool> TryAsync(Backoff? backoff)
            {
                await open(interruption.Token).ConfigureAwait(false);
                return true;
            }

            Backoff? Classify(Exception error, Backoff? backoff)
            {
                if (driver.Classify(error) == Fault.Permanent)
                {
                    return null;
                }

                // Its callers have a time each; together they have none.
                _last = error;
                return backoff ?? Backoff.ForConnections(TimeSpan.MaxValue);
            }
        }
    }
}
