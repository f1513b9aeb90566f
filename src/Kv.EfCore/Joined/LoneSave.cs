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
    private bool _isOpen;

    /// <summary>Whether the save that is running is one.</summary>
    public bool IsPlanned => _insert is not null;

    /// <summary>The messages of its command; null before that is sent, and when it is known what became of it.</summary>
    public AppendedWrite? Sent => _part?.Write;

    /// <summary>A save begins. Finds out whether it is one.</summary>
    /// <remarks>The connection stays open until the save ends: what is found is of its session.</remarks>
    public async ValueTask<bool> PlanAsync(CancellationToken cancellationToken)
    {
        if (!pending.IsPlain || !writes.HasLoneTables(context) || _inserts.Find() is not { } insert || outcome.IsRetried)
        {
            return false;
        }

        try
        {
            await context.Database.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
            _isOpen = true;
            if (await writes.IsLoneTableAsync(context, insert.Table, cancellationToken).ConfigureAwait(false))
            {
                _insert = insert;
                outcome.BeginLone();
                return true;
            }
        }
        catch (Exception)
        {
            // The save meets it again, and what it throws comes to the caller as it is.
        }

        await EndAsync().ConfigureAwait(false);
        return false;
    }

    /// <summary>Its command is about to run.</summary>
    public async ValueTask ExecutingAsync(DbCommand command, CancellationToken cancellationToken)
    {
        var before = command.CommandText;
        try
        {
            var part = _part is null && pending.IsPlain
                ? await AppendedPart.TryAppendAsync(
                    writes,
                    context,
                    pending,
                    new JoinedWork(pending.Build()) { IsSeen = true, Table = _insert!.Table },
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
        if (_part is not { } part)
        {
            return null;
        }

        _part = null;
        var isCommitted = IsCommitted(part, error);
        if (isCommitted == true)
        {
            return Committed(part);
        }

        if (isCommitted == false)
        {
            outcome.Refused();
        }

        return null;
    }

    /// <summary>Tells the caller of a save that failed what EF Core does not.</summary>
    /// <exception cref="Exception">What the caller is to be told.</exception>
    public async ValueTask ExplainAsync(Exception? error)
    {
        var own = _error;
        _error = null;
        own?.Throw();
        if (_insert is not null && error is not null)
        {
            await writes.ExplainLoneAsync(context, _insert.Table, error).ConfigureAwait(false);
        }
    }

    /// <summary>The save is over, or goes on as another one.</summary>
    public async ValueTask EndAsync()
    {
        (_insert, _error) = (null, null);
        if (_isOpen)
        {
            _isOpen = false;
            await context.Database.CloseConnectionAsync().ConfigureAwait(false);
        }
    }

    private AppendedPart Committed(AppendedPart part)
    {
        outcome.Committed();

        // What was cleared meanwhile is none of what is pending.
        return part.Removals == pending.Removals ? part : part with { Extent = default };
    }

    /// <summary>Whether the command was committed; null if that is not known.</summary>
    /// <remarks>
    /// Its results may have been read to the end by EF Core, which met the error of the commit there. An error of anything else came after
    /// the commit.
    /// </remarks>
    private bool? IsCommitted(AppendedPart part, Exception? error)
    {
        var isRead = part.Write.IsIn == true;

        // Execution strategies put errors into others.
        var errors = error is null ? [] : DatabaseErrors.Chain(error).ToList();
        if (errors.OfType<DbUpdateException>().Any(e => e.Entries.Any(entry => entry.Entity == _insert?.Entity)))
        {
            return writes.ProvesRollback(context, errors) ? false
                : errors.Exists(DatabaseErrors.IsOfDatabase) ? null
                : isRead;
        }

        if (error is null || errors.Exists(static e => e is OperationCanceledException))
        {
            return !isRead && context.Database.GetDbConnection().State == ConnectionState.Open ? false : null;
        }

        return isRead ? true : null;
    }
}
