using System.Data.Common;
using System.Runtime.ExceptionServices;

namespace Kv.Commits;

/// <summary>A write of messages that is in a command of the application's, and so in no command of its own.</summary>
/// <param name="work">The write.</param>
/// <param name="group">The group that it is.</param>
/// <param name="outcome">What becomes of it where it is committed.</param>
/// <param name="command">The command.</param>
/// <param name="writer">What has put it there.</param>
internal sealed class AppendedWrite(JoinedWork work, CommitGroup group, AtomicOutcome outcome, DbCommand command, CommitWriter writer)
{
    public JoinedWork Work { get; } = work;

    public AtomicOutcome Outcome { get; } = outcome;

    /// <summary>Whether its messages are in the transaction, or in the database if there is none; null while that is not known.</summary>
    public bool? IsIn { get; private set; }

    /// <summary>Adds a statement to the end of a command.</summary>
    /// <remarks>It must have no rows: EF Core warns of results that it did not ask for.</remarks>
    /// <param name="command">The command, whose own parameters have names that EF Core gives: <c>@p0</c> and so on.</param>
    /// <param name="statement">The statement, with other names.</param>
    public static void Append(DbCommand command, string statement)
    {
        var before = command.CommandText.TrimEnd();
        command.CommandText = string.Concat(before, before.EndsWith(';') ? "\n" : "\n;\n", statement);
    }

    /// <summary>What was met behind the results of the application; null for nothing.</summary>
    public ExceptionDispatchInfo? Error { get; private set; }

    /// <summary>A command has run, and what it gave the application has been read.</summary>
    /// <remarks>
    /// What comes behind that may not have run yet (SQLite), and its error must not take the place of one that the application has met.
    /// Where the command is the commit, there is no later time to tell of it.
    /// </remarks>
    public async ValueTask RanAsync(DbCommand ran, DbDataReader reader, CancellationToken cancellationToken)
    {
        if (ran != command || reader.IsClosed)
        {
            return;
        }

        try
        {
            while (await reader.NextResultAsync(cancellationToken).ConfigureAwait(false))
            {
            }

            IsIn = writer.WasAppended(reader);
        }
        catch (Exception error)
        {
            Error = ExceptionDispatchInfo.Capture(error);
            if (Work.Table is not null)
            {
                throw;
            }
        }
    }

    /// <summary>The transaction is about to be committed.</summary>
    public ValueTask BeginCommitAsync() => writer.BeginCommitAsync(group);
}
