using Kv.Commits;
using Kv.Store;
using Microsoft.EntityFrameworkCore;

namespace Kv;

// A write happens once: what ends it, and what it can still do after a refusal.
public sealed partial class KvAtomic
{
    /// <summary>What commits the write instead of its user; null if the user does.</summary>
    private readonly string? _lender;

    private Stage _stage;
    private KvCommitUnknownException? _unknown;

    private enum Stage
    {
        Building,
        Committing,
        Committed,
        Joined,
        Unknown,
        Returned,
    }

    private AtomicWriteBuilder Building
    {
        get
        {
            Require("Nothing can be added to this write");
            return _builder;
        }
    }

    /// <summary>Commits the write.</summary>
    /// <param name="cancellationToken">Gives up while the write waits; once it is part of a transaction, it is carried through.</param>
    /// <returns>The versionstamp, or which checks refused the write.</returns>
    /// <exception cref="ArgumentException">The write as a whole is over a limit.</exception>
    /// <exception cref="InvalidOperationException">
    /// The write is committed already, or its commit is in flight or of unknown outcome; or the write was lent, and its lender commits
    /// it; or a <c>TransactionScope</c> is around the call, of which no write can be part.
    /// </exception>
    /// <exception cref="KvException">A mutation cannot be done, or the database is away. Nothing was written.</exception>
    /// <exception cref="KvCommitUnknownException">
    /// The connection broke during the commit, and the outcome could not be found out in time.
    /// </exception>
    public ValueTask<KvCommitResult> CommitAsync(CancellationToken cancellationToken = default) =>
        CommitAsync(Begin(), durability: null, cancellationToken);

    /// <summary>Commits the write as durably as asked, whatever <see cref="KvStoreOptions.Durability"/> says of others.</summary>
    /// <remarks>
    /// A <see cref="KvDurability.Relaxed"/> write is answered when it is committed and all others see it; the next commit that is
    /// <see cref="KvDurability.Full"/>, or <see cref="IKvStore.FlushAsync"/>, makes it durable. Until then a power cut (on PostgreSQL
    /// also the end of the server's processes) may take it, and with it all that was committed after it, and nothing that was committed
    /// before. Writes that share a commit are as durable as the one that asks for most.
    /// </remarks>
    /// <param name="durability">What the write survives once it is answered.</param>
    /// <param name="cancellationToken">Gives up while the write waits; once it is part of a transaction, it is carried through.</param>
    /// <returns>The versionstamp, or which checks refused the write.</returns>
    /// <exception cref="ArgumentException">The write as a whole is over a limit, or there is no such durability.</exception>
    /// <exception cref="InvalidOperationException">As of <see cref="CommitAsync(CancellationToken)"/>.</exception>
    /// <exception cref="KvException">A mutation cannot be done, or the database is away. Nothing was written.</exception>
    /// <exception cref="KvCommitUnknownException">
    /// The connection broke during the commit, and the outcome could not be found out in time.
    /// </exception>
    public ValueTask<KvCommitResult> CommitAsync(KvDurability durability, CancellationToken cancellationToken = default)
    {
        if (!Enum.IsDefined(durability))
        {
            throw new ArgumentOutOfRangeException(nameof(durability), durability, "There is no such durability; use Full or Relaxed.");
        }

        return CommitAsync(Begin(), durability, cancellationToken);
    }

    /// <summary>
    /// Makes the write part of the transaction that a context of yours has open: it is committed with your entities, or not at all.
    /// </summary>
    /// <remarks>
    /// The store's version is locked from here until your transaction ends, and all other writers wait: call it last, in all of your
    /// transactions, and they never deadlock over it. The versionstamp is good once your transaction is committed. Workers and watchers
    /// learn of it as of a commit of another process. A failed write leaves your transaction usable. Exceptions of the database itself
    /// pass through (a full disk, a deadlock with a transaction that took locks in another order): roll back then, and begin anew. A
    /// write that became part of a transaction is done with, also if that is rolled back: build it anew for another one. How durable it
    /// is, your transaction decides.
    /// </remarks>
    /// <param name="context">A context on the store's database with a transaction open (<c>Database.BeginTransactionAsync()</c>).</param>
    /// <param name="cancellationToken">Stops the write; then roll your transaction back.</param>
    /// <returns>The versionstamp, or which checks refused the write.</returns>
    /// <exception cref="InvalidOperationException">
    /// The context has no transaction open; or the write is committed already, is being committed, or was lent.
    /// </exception>
    public ValueTask<KvCommitResult> CommitAsync(DbContext context, CancellationToken cancellationToken = default) =>
        CommitAsync(Begin(), context, cancellationToken);

    /// <summary>Refuses what comes after the write's end.</summary>
    /// <param name="refused">What cannot be done then.</param>
    internal void Require(string refused)
    {
        if (_stage != Stage.Building)
        {
            throw Refusal(refused);
        }
    }

    /// <summary>Takes a lent write back: its user can do nothing with it from here on.</summary>
    /// <returns>The write in the engine's terms.</returns>
    /// <exception cref="ArgumentException">The write as a whole is over a limit.</exception>
    internal AtomicWrite TakeBack()
    {
        Return();
        return _builder.Build();
    }

    /// <summary>Ends a lent write that is not committed.</summary>
    internal void Return() => Move(Stage.Building, Stage.Returned, "This write cannot be taken back");

    private async ValueTask<KvCommitResult> CommitAsync(AtomicWrite write, KvDurability? durability, CancellationToken cancellationToken)
    {
        try
        {
            var outcome = await _store.SubmitAsync(write, cancellationToken, durability).ConfigureAwait(false);
            _stage = outcome.Version > 0 ? Stage.Committed : Stage.Building;
            return WriteResults.Of(write, outcome);
        }
        catch (KvCommitUnknownException error)
        {
            (_unknown, _stage) = (error, Stage.Unknown);
            throw;
        }
        catch when (_stage == Stage.Committing)
        {
            // Whatever it was, nothing is written.
            _stage = Stage.Building;
            throw;
        }
    }

    private async ValueTask<KvCommitResult> CommitAsync(AtomicWrite write, DbContext context, CancellationToken cancellationToken)
    {
        try
        {
            var result = await _store.CommitAsync(write, context, cancellationToken).ConfigureAwait(false);
            _stage = result.Succeeded ? Stage.Joined : Stage.Building;
            return result;
        }
        catch when (_stage == Stage.Committing)
        {
            _stage = Stage.Building;
            throw;
        }
    }

    private AtomicWrite Begin()
    {
        if (_lender is not null && _stage == Stage.Building)
        {
            throw new InvalidOperationException(
                $"This write was lent by {_lender}, which commits it itself; committing it here would do everything twice. "
                + "Remove the CommitAsync, or build a write of your own with IKvStore.Atomic().");
        }

        Move(Stage.Building, Stage.Committing, "This write cannot be committed");
        try
        {
            return _builder.Build();
        }
        catch
        {
            _stage = Stage.Building;
            throw;
        }
    }

    private void Move(Stage from, Stage to, string refused)
    {
        if (Interlocked.CompareExchange(ref _stage, to, from) != from)
        {
            throw Refusal(refused);
        }
    }

    private InvalidOperationException Refusal(string what) => new(_stage switch
    {
        Stage.Committing => $"{what}: a commit of it is in flight. Await that first; for another write, begin with IKvStore.Atomic().",
        Stage.Committed =>
            $"{what}: it is committed already, and a second commit would do everything twice. "
            + "For another write, begin with IKvStore.Atomic().",
        Stage.Joined =>
            $"{what}: it is part of a transaction already, and shares its fate. Build it anew in the new transaction, beginning with "
            + "IKvStore.Atomic().",
        Stage.Unknown =>
            $"{what}: its commit {_unknown!.OperationId} ended with KvCommitUnknownException, so it took effect or it did not. "
            + "Ask the store with ResolveAsync and this id; only if the answer is null, build the write anew.",
        _ =>
            $"{what}: it belongs to a {_lender} that has ended. Use it only within the block that was given to it, and await everything "
            + "there; for another write, begin with IKvStore.Atomic().",
    });
}
