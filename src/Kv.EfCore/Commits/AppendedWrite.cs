using System.Data.Common;

namespace Kv.Commits;

/// <summary>A write of messages that is in a command of the application's, and so in no statement that is sent by itself.</summary>
/// <param name="work">The write.</param>
/// <param name="outcome">What becomes of it where it is committed.</param>
/// <param name="command">The command.</param>
/// <param name="beginCommit">Its commit begins.</param>
internal sealed class AppendedWrite(JoinedWork work, AtomicOutcome outcome, DbCommand command, Func<ValueTask> beginCommit)
{
    /// <summary>The column by which its result is told from those of the application's statements.</summary>
    public const string Column = "efkv_put";

    /// <summary>The end of an insert, by which it gives that column.</summary>
    public const string Returning = $" returning 1 as {Column}";

    public JoinedWork Work { get; } = work;

    public AtomicOutcome Outcome { get; } = outcome;

    /// <summary>Whether its messages are in the transaction; null while that is not known.</summary>
    public bool? IsIn { get; private set; }

    /// <summary>Adds a statement to the end of a command.</summary>
    /// <param name="command">The command, whose own parameters have names that EF Core gives: <c>@p0</c> and so on.</param>
    /// <param name="statement">The statement, with other names.</param>
    public static void Append(DbCommand command, string statement)
    {
        var before = command.CommandText.TrimEnd();
        command.CommandText = string.Concat(before, before.EndsWith(';') ? "\n" : ";\n", statement);
    }

    /// <summary>A command has run, and what it gave the application has been read.</summary>
    /// <remarks>EF Core leaves what comes after its own results unread; it may be an error as well.</remarks>
    public async ValueTask RanAsync(DbCommand ran, DbDataReader reader, CancellationToken cancellationToken)
    {
        if (ran != command || reader.IsClosed)
        {
            return;
        }

        do
        {
            if (reader is { FieldCount: 1 } && reader.GetName(0) == Column)
            {
                IsIn = await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        while (await reader.NextResultAsync(cancellationToken).ConfigureAwait(false));
    }

    /// <summary>The transaction is about to be committed.</summary>
    public ValueTask BeginCommitAsync() => beginCommit();
}
