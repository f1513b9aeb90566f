using Kv.Commits;
using Kv.Engine;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Storage;

namespace Kv.Joined;

/// <summary>What became of the last commit of a context, which leaves a mark where an execution strategy may ask for it.</summary>
/// <param name="context">The context.</param>
/// <param name="transactions">Its transactions.</param>
/// <param name="engine">The store's engine.</param>
internal sealed class UnitOutcome(DbContext context, ContextTransactions transactions, KvEngine engine)
{
    private CommitMarks? _marks;
    private CommitMarks? _taken;
    private bool _isKnown;

    /// <summary>A transaction begins: what became of the one before is asked no more.</summary>
    public void Began()
    {
        // A number whose outcome is not known is left to grow old.
        (_marks, _isKnown) = (null, false);
        ReturnMark();
        transactions.Began();
    }

    /// <summary>Takes the mark of the commit that is to come, for what is written ahead of it.</summary>
    /// <returns>The mark; none where no strategy retries.</returns>
    public CommitMark TakeMark() => IsRetried ? (_taken ??= engine.JoinedMarks.Take()).Current : default;

    /// <summary>Gives back the mark of a commit that never comes.</summary>
    public void ReturnMark()
    {
        if (_taken is { } taken)
        {
            _taken = null;
            engine.JoinedMarks.Return(taken);
        }
    }

    /// <summary>Writes with a mark of its own. Where that fails, no commit is sent.</summary>
    /// <param name="isJoined">Whether there is anything of the store.</param>
    /// <param name="write">Writes, with a mark or none.</param>
    public async ValueTask MarkAsync(bool isJoined, Func<CommitMark, ValueTask> write)
    {
        // What only reads is not made to write.
        var marks = _taken ?? ((isJoined || transactions.HasSaved) && IsRetried ? engine.JoinedMarks.Take() : null);
        _taken = null;
        (_marks, _isKnown, transactions.HasCommitted) = (null, false, false);
        try
        {
            await write(marks?.Current ?? default).ConfigureAwait(false);
        }
        catch when (marks is not null)
        {
            engine.JoinedMarks.Return(marks);
            throw;
        }

        (_marks, transactions.HasCommitted) = (marks, true);
    }

    /// <summary>A save begins without a transaction: what became of the one before is asked no more.</summary>
    public void BeginSave()
    {
        (_marks, _isKnown, transactions.HasCommitted) = (null, false, false);
        ReturnMark();
    }

    /// <summary>A command that commits by itself is about to be sent.</summary>
    public void Sending() => transactions.HasCommitted = true;

    /// <summary>It was not committed.</summary>
    public void Refused() => transactions.HasCommitted = false;

    /// <summary>The transaction was committed, and the answer came.</summary>
    public void Committed()
    {
        _isKnown = true;
        Return();
    }

    /// <summary>Whether the last transaction was committed.</summary>
    /// <param name="found">Called if it was, and that was not known.</param>
    /// <param name="cancellationToken">Stops asking.</param>
    public async ValueTask<bool> AskAsync(Action found, CancellationToken cancellationToken)
    {
        if (_isKnown || !transactions.HasCommitted)
        {
            return _isKnown;
        }

        var mark = _marks?.Current ?? throw new InvalidOperationException(
            $"Whether the last transaction of {context.GetType().Name} was committed is not known, since it left no mark of its own. "
            + "Transactions do under an execution strategy that retries (EnableRetryOnFailure), if they save or collect something and "
            + "db.Kv() was called in the context before their commit.");
        _isKnown = await engine.Runner.ResolveAsync(mark, cancellationToken).ConfigureAwait(false) is not null;
        Return();
        transactions.HasCommitted = _isKnown;
        if (_isKnown)
        {
            found();
        }

        return _isKnown;
    }

    /// <summary>Whether a strategy that retries may ask. Whether it does retry, it does not say while another one runs.</summary>
    public bool IsRetried => context.Database.CreateExecutionStrategy() is ExecutionStrategy or { RetriesOnFailure: true };

    private void Return()
    {
        if (_marks is { } marks)
        {
            _marks = null;
            engine.JoinedMarks.Return(marks);
        }
    }
}
