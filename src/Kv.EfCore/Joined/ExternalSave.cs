using Kv.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace Kv.Joined;

/// <summary>
/// A save in a transaction of the driver's, where the store's part is written before the entities: behind a savepoint, so that a save which
/// fails takes it back.
/// </summary>
/// <param name="context">The context.</param>
/// <param name="logger">Hears what goes wrong.</param>
internal sealed class ExternalSave(DbContext context, ILogger logger)
{
    private const string Savepoint = "efkv_save";

    /// <summary>Whether one has begun.</summary>
    public bool IsOn { get; private set; }

    public async ValueTask BeginAsync(CancellationToken cancellationToken)
    {
        await context.Database.CurrentTransaction!.CreateSavepointAsync(Savepoint, cancellationToken).ConfigureAwait(false);
        IsOn = true;
    }

    public async ValueTask KeepAsync()
    {
        IsOn = false;
        await context.Database.CurrentTransaction!.ReleaseSavepointAsync(Savepoint, CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Takes back what was written. It does not throw: the caller is told why the save failed.</summary>
    public async ValueTask UndoAsync()
    {
        IsOn = false;
        try
        {
            await context.Database.CurrentTransaction!.RollbackToSavepointAsync(Savepoint, CancellationToken.None).ConfigureAwait(false);
            await context.Database.CurrentTransaction.ReleaseSavepointAsync(Savepoint, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            // A transaction that cannot go back to a savepoint cannot be committed either.
            KvLog.JoinedRollbackFailed(logger, error);
        }
    }
}
