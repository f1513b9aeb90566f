using System.Data;
using System.Data.Common;
using System.Runtime.ExceptionServices;
using Kv.Commits;
using Kv.Connections;
using Kv.Store;
using Microsoft.EntityFrameworkCore;

namespace Kv.Joined;

/// <summary>A save that needs no transaction: one row, whose insert takes the messages along, in a command that commits both.</summary>
/// <param name="context">The context.</param>
/// <param name="writes">Writes for it.</param>
/// <param name="outcome">What became of its commits: a strategy that retries may ask, for which a transaction leaves a mark.</param>
/// <param name="pending">What was collected.</param>
internal sealed class LoneSave(DbContext context, ContextWrites writes, UnitOutcome outcome, PendingWrites pending)
{
    private readonly LoneInserts _inserts = new(context);
    private LoneInsert? _insert;
    private AppendedPart? _part;
    private ExceptionDispatchInfo? _error;
    private string? _reason;
    private bool _isOpen;

    /// <summary>Whether the save that is running is one.</summary>
    public bool IsPlanned => _insert is not null;

    /// <summary>The messages of its command; null before that is sent, and when it is known what became of it.</summary>
    public AppendedWrite? Sent => _part?.Write;

    /// <summary>Whether the command was committed: EF Core has read its results, and has begun to take the entity for saved.</summary>
    public bool HasCome => _part is { Write.IsIn: true } && _insert?.Entry.State == EntityState.Unchanged;

    /// <summary>A save begins. Finds out whether it is one.</summary>
    /// <remarks>
    /// The connection stays open until the save ends, since what is found is of its session. Where it cannot be opened, the save meets that
    /// again, and what it throws comes to the caller as it is.
    /// </remarks>
    public async ValueTask<bool> PlanAsync(CancellationToken cancellationToken)
    {
        if (!pending.IsPlain || writes.LoneTablesFor(context) is not { } tables || _inserts.Find() is not { } insert
            || tables.Excludes(insert.Table) || outcome.IsRetried)
        {
            return false;
        }

        try
        {
            await context.Database.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
            _isOpen = true;
            if (await tables.ContainsAsync(context.Database.GetDbConnection(), insert.Table, cancellationToken).ConfigureAwait(false))
            {
                _insert = insert;
            }
        }
        catch (Exception)
        {
            // The save meets it again.
            return false;
        }

        return IsPlanned;
    }

    /// <summary>Its command is about to run.</summary>
    public async ValueTask ExecutingAsync(DbCommand command, CancellationToken cancellationToken)
    {
        var before = command.CommandText;
        try
        {
            var part = _part is null && pending.IsPlain && _insert!.Entry.State == EntityState.Added
                ? await AppendedPart.TryAppendAsync(
                    writes,
                    context,
                    pending,
                    new JoinedWork(pending.Build()) { IsSeen = true, Table = _insert.Table },
                    command,
                    cancellationToken).ConfigureAwait(false)
                : null;
            if (part is null)
            {
                throw new InvalidOperationException(
                    $"SaveChanges of {context.GetType().Name} began as an insert of one row into {_insert!.Table}, which needs no "
                    + "transaction to take messages along, and has become something else. Nothing of it was written. Set "
                    + "context.Database.AutoTransactionBehavior to Always where entities, or what db.Kv() has collected, are changed while "
                    + "changes are saved.");
            }

            before = command.CommandText;
            await part.Write.BeginCommitAsync().ConfigureAwait(false);
            _part = part;
        }
        catch (Exception error) when (command.CommandText == before)
        {
            // EF Core makes an error of the entities of it, which the end of the save takes back.
            _error = ExceptionDispatchInfo.Capture(error);
            throw;
        }

        outcome.Sending();
    }

    /// <summary>EF Core has saved.</summary>
    /// <returns>What was committed; null for nothing.</returns>
    public AppendedPart? CameThrough()
    {
        End();
        if (_part is not { } part)
        {
            return null;
        }

        _part = null;
        if (part.Write.IsIn != true)
        {
            throw new InvalidOperationException(
                $"Messages went to the database with the insert into {part.Write.Work.Table} of SaveChanges of {context.GetType().Name}, "
                + "and how that ended was not told. Whether row and messages were stored is not known; both were, or none.");
        }

        return Committed(part);
    }

    /// <summary>The save has failed, or was cancelled.</summary>
    /// <param name="error">Why; null where EF Core tells of a cancellation, without an error.</param>
    /// <returns>What was committed nevertheless; null for nothing, and where that is not known.</returns>
    public AppendedPart? Failed(Exception? error)
    {
        var part = _part;
        var isCommitted = part is null ? null : IsCommitted(part, error);
        if (isCommitted == false)
        {
            outcome.Refused();
        }

        if (part is not null && error is not null)
        {
            _reason = writes.LoneTablesFor(context)?.LearnFrom(
                error.GetBaseException(), context.Database.GetDbConnection(), part.Write.Work.Table!);
        }

        _part = null;
        End();
        return isCommitted == true ? Committed(part!) : null;
    }

    /// <summary>Tells the caller of a save that failed what EF Core does not.</summary>
    /// <exception cref="Exception">What the caller is to be told.</exception>
    public async ValueTask ExplainAsync(Exception? error)
    {
        var (own, reason) = (_error, _reason);
        (_error, _reason) = (null, null);
        own?.Throw();
        if (reason is null)
        {
            return;
        }

        try
        {
            await writes.EnsurePlaceAsync(context).ConfigureAwait(false);
        }
        catch (Exception met) when (DatabaseErrors.IsOfDatabase(met))
        {
            // What the command has met is what the caller is to know.
        }

        throw new DbUpdateException(
            $"SaveChanges of {context.GetType().Name} wrote nothing: since the last look, {reason}. Without a transaction, a row and its "
            + "messages would not be stored for sure. Save again.",
            error,
            DatabaseErrors.Chain(error!).OfType<DbUpdateException>().FirstOrDefault()?.Entries ?? []);
    }

    /// <summary>A save begins, and knows nothing of the one before, whose end may not have been told to all.</summary>
    public void Begin()
    {
        (_error, _reason) = (null, null);
        End();
    }

    private void End()
    {
        _insert = null;
        if (_isOpen)
        {
            _isOpen = false;
            context.Database.CloseConnection();
        }
    }

    private AppendedPart Committed(AppendedPart part)
    {
        outcome.Committed();

        // What was cleared meanwhile is none of what is pending.
        return part.Removals == pending.Removals ? part : part with { Extent = default };
    }

    /// <summary>Whether the command was committed; null if that is not known.</summary>
    /// <remarks>EF Core may have read its results to the end, and have met the error of the commit there.</remarks>
    private bool? IsCommitted(AppendedPart part, Exception? error)
    {
        if (HasCome)
        {
            return true;
        }

        var isRead = part.Write.IsIn == true;
        bool? unread = isRead || context.Database.GetDbConnection().State != ConnectionState.Open ? null : false;

        // Execution strategies put errors into others.
        var errors = error is null ? [] : DatabaseErrors.Chain(error).ToList();
        return errors.OfType<DbUpdateException>().Any(e => e.Entries.Any(entry => ReferenceEquals(entry.Context, context)))
            ? writes.ProvesRollback(context, errors) ? false
                : errors.Exists(DatabaseErrors.IsOfDatabase) ? null
                : isRead ? true
                : unread
            : error is null || errors.Exists(static e => e is OperationCanceledException) ? unread : null;
    }
}
