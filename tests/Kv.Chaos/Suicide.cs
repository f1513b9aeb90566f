using System.Data.Common;
using System.Diagnostics;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.Chaos;

/// <summary>
/// Kills its process with SIGKILL at a step of a unit of work, which it sees by interceptors before and after the store's.
/// </summary>
/// <param name="at">The step, and the unit, from 1; null for never.</param>
internal sealed class Suicide((string Step, int Unit)? at)
{
    /// <summary>The steps, in the order in which they come.</summary>
    public static readonly string[] Steps = ["saving", "begun", "inserted", "saved", "joined", "committed", "told"];

    private int _unit;

    /// <summary>What hears of each step before the store does.</summary>
    public IInterceptor Before => new Events(this, "inserted", "committed", "begun");

    /// <summary>What hears of it when the store has done its part.</summary>
    public IInterceptor After => new Events(this, "joined", "told", null);

    /// <summary>Begins a unit.</summary>
    /// <returns>Its number.</returns>
    public int BeginUnit() => Interlocked.Increment(ref _unit);

    private void Pass(string? step)
    {
        if (at is { } end && end.Step == step && end.Unit == Volatile.Read(ref _unit))
        {
            Process.GetCurrentProcess().Kill();

            // The signal ends this thread, too, and nothing is to come before it does.
            using var never = new ManualResetEventSlim();
            never.Wait();
        }
    }

    private sealed class Events(Suicide suicide, string committing, string committed, string? begun)
        : DbTransactionInterceptor, ISaveChangesInterceptor
    {
        public ValueTask<InterceptionResult<int>> SavingChangesAsync(
            DbContextEventData eventData, InterceptionResult<int> result, CancellationToken cancellationToken = default)
        {
            suicide.Pass(begun is null ? "saving" : null);
            return new(result);
        }

        public ValueTask<int> SavedChangesAsync(
            SaveChangesCompletedEventData eventData, int result, CancellationToken cancellationToken = default)
        {
            suicide.Pass(begun is null ? "saved" : null);
            return new(result);
        }

        public override ValueTask<DbTransaction> TransactionStartedAsync(
            DbConnection connection, TransactionEndEventData eventData, DbTransaction result, CancellationToken cancellationToken = default)
        {
            suicide.Pass(begun);
            return new(result);
        }

        public override ValueTask<InterceptionResult> TransactionCommittingAsync(
            DbTransaction transaction,
            TransactionEventData eventData,
            InterceptionResult result,
            CancellationToken cancellationToken = default)
        {
            suicide.Pass(committing);
            return new(result);
        }

        public override Task TransactionCommittedAsync(
            DbTransaction transaction, TransactionEndEventData eventData, CancellationToken cancellationToken = default)
        {
            suicide.Pass(committed);
            return Task.CompletedTask;
        }
    }
}
