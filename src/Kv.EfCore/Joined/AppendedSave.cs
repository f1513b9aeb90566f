using System.Data.Common;
using Kv.Commits;
using Kv.Store;
using Microsoft.EntityFrameworkCore;

namespace Kv.Joined;

/// <summary>What a command of the save that is running takes along: messages that nothing orders need no round trip of their own.</summary>
/// <param name="context">The context.</param>
/// <param name="transactions">Its transactions.</param>
/// <param name="writes">Writes for it.</param>
/// <param name="outcome">Gives the mark of the commit.</param>
/// <param name="pending">What was collected.</param>
internal sealed class AppendedSave(
    DbContext context, ContextTransactions transactions, ContextWrites writes, UnitOutcome outcome, PendingWrites pending)
{
    private AppendedPart? _part;
    private bool _isDeclined;

    /// <summary>The messages that a command takes along; null for none.</summary>
    public AppendedWrite? Write => _part?.Write;

    /// <summary>Whether it has come into the transaction.</summary>
    public bool IsIn => _part is { Write.IsIn: true };

    /// <summary>A command of a save is about to run.</summary>
    /// <remarks>
    /// Only in a transaction that the save has begun: of others, parts may be taken back, to savepoints that EF Core does not name.
    /// </remarks>
    public async ValueTask ExecutingAsync(DbCommand command, CancellationToken cancellationToken)
    {
        if (_part is not null || _isDeclined || pending.Count == 0 || !transactions.IsOfSave || !pending.IsPlain
            || transactions.Current is null)
        {
            return;
        }

        _isDeclined = true;

        var before = command.CommandText;
        try
        {
            var work = new JoinedWork(pending.Build()) { IsSeen = true, Mark = outcome.TakeMark() };
            _part = await AppendedPart.TryAppendAsync(writes, context, pending, work, command, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception) when (command.CommandText == before)
        {
            // The commit meets it again, and what it throws comes to the caller as it is.
        }
    }

    /// <summary>The transaction is over, or is about to be.</summary>
    public void Forget() => (_part, _isDeclined) = (null, false);

    /// <summary>Takes what a command has put into the transaction; null where nothing is, and all is to be written now.</summary>
    /// <exception cref="InvalidOperationException">It cannot be committed.</exception>
    public AppendedPart? Take()
    {
        var part = _part;
        _part = null;
        if (part is null || part.Write.IsIn == false)
        {
            return null;
        }

        if (part.Write.IsIn is null)
        {
            part.Write.Error?.Throw();
            throw new InvalidOperationException(
                $"Messages went to the database with a command of SaveChanges of {context.GetType().Name}, and an interceptor has kept "
                + "from EF Core how that ended. Nothing was committed. Leave out the interceptor that replaces or closes the results of "
                + "commands, or save in a transaction of your own, in which messages go by themselves.");
        }

        return part.Removals == pending.Removals ? part : throw new InvalidOperationException(
            $"What db.Kv() had collected was cleared while SaveChanges of {context.GetType().Name} was writing it. Nothing was committed. "
            + "Call db.Kv().Clear() before the save, or save again.");
    }
}
