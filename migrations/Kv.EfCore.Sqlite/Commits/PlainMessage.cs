using System.Data.Common;
using Kv.Commits;
using Kv.Connections;
using Kv.Messages;
using Microsoft.Data.Sqlite;

namespace Kv.Sqlite;

/// <summary>
/// Puts a message that nothing orders into a transaction of the user's, by one statement: it puts the message in or does nothing, so it
/// needs no savepoint. The tables are named by their file, so a temporary one cannot hide them.
/// </summary>
/// <remarks>
/// On a connection of the user's no statement stays prepared: a savepoint, a look at temporary tables and an insert that would count a
/// message group would be prepared for each commit (decision 0043).
/// </remarks>
/// <param name="session">The user's transaction.</param>
/// <param name="driver">The database.</param>
internal sealed class PlainMessage(Session session, SqliteDriver driver)
{
    /// <summary>Puts it in.</summary>
    /// <param name="message">The message.</param>
    /// <param name="now">The time.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="InvalidOperationException">The transaction is one of another file. Nothing was written.</exception>
    public async ValueTask PutAsync(NewMessage message, long now, CancellationToken cancellationToken)
    {
        if (session.Identity is { } identity)
        {
            await identity.EnsureAsync(SqliteDriver.IdentifyFile(session.Connection), cancellationToken).ConfigureAwait(false);
        }

        await session.Statement(driver.Sql.PutPlain).Set(message, now).Set("@delay", message.Delay)
            .ExecuteAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Whether a command of the application's can put it in: in another file it could not.</summary>
    public static bool CanAppend(Session session, JoinedWork work, DbCommand command) =>
        work is { Mark.Writer: 0, Write.Messages.Count: 1 } && command is SqliteCommand
        && session.Identity?.Knows(SqliteDriver.IdentifyFile(session.Connection)) == true;

    /// <summary>Has a command of the application's put it in, as its last statement.</summary>
    public ValueTask AppendAsync(NewMessage message, long now, DbCommand command)
    {
        AppendedWrite.Append(command, driver.Sql.AppendPlain);
        var parameters = ((SqliteCommand)command).Parameters;
        foreach (var (name, value) in MessageValues.Of(message, now).Append(("@delay", message.Delay)))
        {
            parameters.AddWithValue(string.Concat(SqliteSql.AppendedPrefix, name.AsSpan(1)), value ?? DBNull.Value);
        }

        return ValueTask.CompletedTask;
    }
}
