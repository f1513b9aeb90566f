using System.Data.Common;
using Kv.Commits;
using Kv.Diagnostics;
using Kv.Store;
using Microsoft.EntityFrameworkCore;

namespace Kv.Joined;

/// <summary>
/// Commits what a unit of work has collected: in the context's transaction, or alone where there is nothing to be part of.
/// </summary>
/// <param name="context">The context.</param>
/// <param name="transactions">Its transactions.</param>
/// <param name="store">The store.</param>
/// <param name="pending">What was collected.</param>
internal sealed class UnitCommits(DbContext context, ContextTransactions transactions, KvStore store, PendingWrites pending)
{
    private readonly ExternalSave _external = new(context, store.Engine.Logger);
    private readonly UnitOutcome _outcome = new(context, transactions, store.Engine);
    private readonly ContextWrites _writes = new(store);
    private Application? _applied;

    /// <summary>What was committed last.</summary>
    public KvJoinedCommit? Last { get; private set; }

    /// <summary>Whether the last save or commit failed, so that its caller knows that what waits was not written.</summary>
    public bool HasFailed { get; private set; }

    /// <summary>What a command of the save that is running has taken along.</summary>
    public AppendedSave Appended => field ??= new(context, transactions, _writes, _outcome, pending);

    /// <summary>What a command has taken along of which it is not known yet what became of it; null for nothing.</summary>
    public AppendedWrite? InCommand => Lone.Sent ?? Appended.Write;

    private LoneSave Lone => field ??= new(context, _writes, _outcome, pending);

    /// <summary>A save begins.</summary>
    public async ValueTask SavingAsync(CancellationToken cancellationToken)
    {
        FinishLone();
        Lone.Begin();
        DropOthers(transactions.Current);
        if (pending.Count == 0)
        {
            return;
        }

        if (transactions.Current is null)
        {
            _outcome.BeginSave();
        }

        transactions.RefuseScope();

        // Before the transaction begins: opening the store may wait for locks that the transaction would hold.
        await store.Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        if (transactions.Current is null)
        {
            if (!await Lone.PlanAsync(cancellationToken).ConfigureAwait(false))
            {
                transactions.RequireTransaction();
            }
        }
        else if (transactions.IsExternal)
        {
            await _external.BeginAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                await ApplyAsync(isSeen: false, default, cancellationToken).ConfigureAwait(false);
            }
            catch
            {
                // EF Core tells nothing of a save that did not begin.
                await SaveFailedAsync(null).ConfigureAwait(false);
                throw;
            }
        }
    }

    /// <summary>A save has come through, and nothing of the application's has heard of it yet.</summary>
    public void CameThrough() => Finish(Lone.CameThrough());

    /// <summary>A save has failed, and nothing of the application's has heard of it yet.</summary>
    /// <param name="error">Why; null where EF Core tells of a cancellation, without an error.</param>
    public void Failed(Exception? error) => Finish(Lone.Failed(error));

    /// <summary>A save has come through. What it did not commit is committed now, unless a transaction is open that will.</summary>
    public async ValueTask SavedAsync(CancellationToken cancellationToken)
    {
        HasFailed = false;
        if (_external.IsOn)
        {
            await _external.KeepAsync().ConfigureAwait(false);
            Finish();
        }

        DropOthers(transactions.Current);
        if (pending.Count == 0)
        {
            return;
        }

        if (transactions.IsExternal)
        {
            // Interceptors that come after this one have collected it.
            await FlushAsync(cancellationToken).ConfigureAwait(false);
        }
        else if (transactions.Current is null)
        {
            await CommitAloneAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>A save has failed, or was cancelled.</summary>
    /// <param name="error">Why; null where EF Core tells of a cancellation, without an error.</param>
    public async ValueTask SaveFailedAsync(Exception? error)
    {
        HasFailed = true;
        try
        {
            await Lone.ExplainAsync(error).ConfigureAwait(false);
        }
        finally
        {
            if (transactions.Current is null)
            {
                // Another save may be committing, within which this one ran.
                ForgetAppended();
            }

            if (_external.IsOn)
            {
                _applied = null;
                await _external.UndoAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>A transaction begins.</summary>
    public void Began()
    {
        FinishLone();
        Appended.Forget();
        _outcome.Began();
    }

    /// <summary>A transaction was given to the context.</summary>
    public void Used() => ForgetAppended();

    /// <summary>A command of a save is about to run.</summary>
    public ValueTask ExecutingAsync(DbCommand command, CancellationToken cancellationToken)
    {
        DropOthers(transactions.Current);
        return Lone.IsPlanned && pending.Count > 0 && transactions.Current is null
            ? Lone.ExecutingAsync(command, cancellationToken)
            : Appended.ExecutingAsync(command, cancellationToken);
    }

    /// <summary>The transaction of the context is about to be committed.</summary>
    public async ValueTask CommittingAsync(Guid transaction, CancellationToken cancellationToken)
    {
        DropOthers(transaction);
        _applied = null;
        HasFailed |= pending.Count > 0;
        var appended = Appended.Take();
        await _outcome.MarkAsync(pending.Count > 0, mark => appended is not null ? ApplyAsync(appended, cancellationToken)
            : pending.Count > 0 || mark.Writer != 0 ? ApplyAsync(isSeen: true, mark, cancellationToken)
            : default).ConfigureAwait(false);
    }

    /// <summary>The transaction was committed.</summary>
    public void Committed()
    {
        _outcome.Committed();
        if (_applied is not null)
        {
            HasFailed = false;
            Finish();
        }
    }

    /// <summary>The transaction was rolled back, as a whole.</summary>
    public void RolledBack(Guid transaction)
    {
        _applied = null;
        Began();
        pending.Drop(transaction);
    }

    /// <summary>Whether the last transaction was committed, whose commit may have failed because its answer was lost.</summary>
    public ValueTask<bool> WasCommittedAsync(CancellationToken cancellationToken) => _outcome.AskAsync(
        () =>
        {
            HasFailed = false;
            Finish();
        },
        cancellationToken);

    /// <summary>Writes what is pending into the transaction that is open, ahead of its commit.</summary>
    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        transactions.RefuseScope();
        DropOthers(transactions.Current);
        if (transactions.Current is null)
        {
            throw new InvalidOperationException(
                "The context has no transaction open, so there is nothing to write into. SaveChanges commits what is collected; "
                + "FlushAsync is for transactions that are committed without it.");
        }

        // What a command of the save that is running has put in is there, and what came later goes with the commit that is under way.
        if (pending.Count > 0 && !Appended.IsIn)
        {
            await ApplyAsync(isSeen: false, default, cancellationToken).ConfigureAwait(false);
            Finish();
        }
    }

    /// <summary>Drops what was collected in transactions that have ended without a commit: no event tells of that.</summary>
    /// <param name="current">The transaction that is open; null for none.</param>
    public void DropOthers(Guid? current)
    {
        if (pending.Count > 0 && pending.DropOthers(current) is > 0 and var dropped)
        {
            KvLog.JoinedDropped(store.Engine.Logger, dropped, context.GetType().Name);
        }
    }

    private async ValueTask ApplyAsync(bool isSeen, CommitMark mark, CancellationToken cancellationToken)
    {
        if (pending.IsUnclear)
        {
            throw new InvalidOperationException(
                $"The transaction of {context.GetType().Name} went back to one of several savepoints, EF Core does not tell which one, "
                + "and something was collected between them: whether it still belongs to the transaction is not known. Nothing was "
                + "written. Call db.Kv().Clear() and collect anew what belongs to it; or call FlushAsync() before each savepoint, which "
                + "leaves the answer to the database.");
        }

        var write = pending.Build();
        var work = new JoinedWork(write) { IsSeen = isSeen, Mark = mark };
        var extent = pending.Extent;
        var outcome = await _writes.JoinAsync(work, context, cancellationToken).ConfigureAwait(false);
        ThrowIfRefused(write, outcome);
        _applied = new Application(work, extent, CommitOf(write, outcome));
    }

    private async ValueTask ApplyAsync(AppendedPart appended, CancellationToken cancellationToken)
    {
        await appended.Write.BeginCommitAsync().ConfigureAwait(false);
        var (work, commit, extent) = (appended.Write.Work, appended.Commit, pending.Extent);
        if (extent != appended.Extent)
        {
            // Interceptors have collected more since then.
            var rest = pending.BuildAfter(appended.Extent);
            work = new JoinedWork(rest) { IsSeen = true };
            var outcome = await _writes.JoinAsync(work, context, cancellationToken).ConfigureAwait(false);
            ThrowIfRefused(rest, outcome);
            var later = CommitOf(rest, outcome);
            commit = later with { MessageIds = [.. commit.MessageIds, .. later.MessageIds] };
            work.Committed += appended.Write.Work.Committed;
        }

        _applied = new Application(work, extent, commit);
    }

    private void ForgetAppended()
    {
        Appended.Forget();
        _outcome.ReturnMark();
    }

    private async ValueTask CommitAloneAsync(CancellationToken cancellationToken)
    {
        HasFailed = true;
        transactions.RefuseScope();
        var write = pending.Build();
        var extent = pending.Extent;
        AtomicOutcome outcome;
        try
        {
            outcome = await _writes.SubmitAsync(write, context, cancellationToken).ConfigureAwait(false);
        }
        catch (KvCommitUnknownException)
        {
            // It may be committed, so it must not be committed again; the exception names it.
            pending.Done(extent);
            throw;
        }

        ThrowIfRefused(write, outcome);
        (Last, HasFailed) = (CommitOf(write, outcome), false);
        pending.Done(extent);
    }

    // Handlers may begin something while EF Core takes entities for saved.
    private void FinishLone()
    {
        if (Lone.HasCome)
        {
            CameThrough();
        }
    }

    private void Finish(AppendedPart? committed)
    {
        if (committed is not null)
        {
            _applied = new Application(committed.Write.Work, committed.Extent, committed.Commit);
            Finish();
        }
    }

    private void Finish()
    {
        var applied = _applied!;
        _applied = null;
        if (applied.Extent.Count > 0)
        {
            pending.Done(applied.Extent);
            Last = applied.Commit;
        }

        applied.Work.Committed?.Invoke();
    }

    private static void ThrowIfRefused(AtomicWrite write, AtomicOutcome outcome)
    {
        if (outcome.FailedChecks.Count > 0)
        {
            throw new KvConflictException(WriteResults.FailedChecks(write, outcome));
        }
    }

    internal static KvJoinedCommit CommitOf(AtomicWrite write, AtomicOutcome outcome) =>
        new(outcome.Version > 0 ? KvVersionstamp.FromVersion(outcome.Version) : null, WriteResults.MessageIds(write, outcome));

    /// <param name="Work">What is in the transaction.</param>
    /// <param name="Extent">How far the pending writes had come.</param>
    /// <param name="Commit">What comes of it when the transaction is committed.</param>
    private sealed record Application(JoinedWork Work, WriteExtent Extent, KvJoinedCommit Commit);
}
