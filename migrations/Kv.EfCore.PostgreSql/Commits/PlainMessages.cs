using System.Data;
using System.Data.Common;
using System.Globalization;
using Kv.Commits;
using Kv.Connections;
using Kv.Messages;
using Npgsql;

namespace Kv.PostgreSql;

/// <summary>
/// Puts in messages that nothing orders, as a part of what the user commits, by one statement. In a transaction it puts nothing in where
/// the tables are others than the store's, so it needs no savepoint, which would cost more than the messages; in a command that commits by
/// itself it fails.
/// </summary>
/// <param name="session">The user's session.</param>
/// <param name="driver">The database.</param>
/// <param name="messages">The messages.</param>
/// <param name="mark">The mark of the commit, or none.</param>
/// <param name="now">The time, where the server's clock does not judge; otherwise null.</param>
internal sealed class PlainMessages(
    Session session, PostgreSqlDriver driver, List<(NewMessage Message, long VersionOffset)> messages, CommitMark mark, long? now)
{
    private string Text => (messages.Count == 1, mark.Writer != 0) switch
    {
        (true, true) => driver.Sql.Plain.PutOneMarked,
        (true, false) => driver.Sql.Plain.PutOne,
        (false, true) => driver.Sql.Plain.PutMarked,
        (false, false) => driver.Sql.Plain.Put,
    };

    /// <summary>Puts them in by a statement of their own.</summary>
    /// <exception cref="OtherTablesException">The tables are others than the store's. Nothing was put in.</exception>
    public async ValueTask PutAsync(CancellationToken cancellationToken)
    {
        var batch = session.Connection.CreateBatch();
        await using var _ = batch.ConfigureAwait(false);
        batch.Transaction = session.Transaction;
        var command = batch.CreateBatchCommand();
        command.CommandText = Text;
        batch.BatchCommands.Add(command);
        var identity = AddParameters(command.Parameters, command.CreateParameter, isNamed: false);

        // It makes sure of the tables first where the session has not prepared the statement yet.
        await session.PrepareAsync(batch, command.CommandText, cancellationToken).ConfigureAwait(false);
        identity.Value = session.Identity?.Tables ?? "";
        if (await batch.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false) == 0)
        {
            throw new OtherTablesException();
        }

        if (driver.SessionName(session.Connection) is { } name)
        {
            driver.Appended.Tried(name);
        }
    }

    /// <summary>Whether a command of the application's can put them in.</summary>
    /// <remarks>The first ones of a session are put in by themselves, which finds and tells whatever stands in their way.</remarks>
    public static bool CanAppend(Session session, PostgreSqlDriver driver, JoinedWork work, DbCommand command) =>
        session.Prepares && command.CommandType == CommandType.Text
        && (work.Table is null || PlainSql.Inserts(command.CommandText, work.Table))
        && driver.SessionName(session.Connection) is { } name && driver.Appended.IsTried(name)
        && command.Parameters.Cast<DbParameter>().All(static p => p.Direction == ParameterDirection.Input);

    /// <summary>Has a command of the application's put them in, as its last statement.</summary>
    /// <param name="command">The command.</param>
    /// <param name="table">The table of the one row that it puts in and commits by itself; null for a command in a transaction.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async ValueTask AppendAsync(DbCommand command, string? table, CancellationToken cancellationToken)
    {
        AppendedWrite.Append(
            command, table is null ? driver.Sql.Plain.Appended(Text) : driver.Sql.Plain.Lone(table, isOne: messages.Count == 1));
        AddParameters(command.Parameters, command.CreateParameter, isNamed: true).Value = session.Identity?.Tables ?? "";
        if (driver.Appended.IsWorthPreparing(command.CommandText))
        {
            await CommandStatement.PrepareAsync(command.PrepareAsync, command.CommandTimeout, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Whether the last statement of a command has put them in.</summary>
    public static bool WasAppended(DbDataReader reader)
    {
#pragma warning disable CS0618 // A command that is no batch tells it nowhere else; EF Core's provider reads it here too.
        return reader is NpgsqlDataReader { Statements: [.., { StatementType: Npgsql.StatementType.Insert, Rows: > 0 }] };
#pragma warning restore CS0618
    }

    // In the order of the statements' parameters.
    private DbParameter AddParameters(DbParameterCollection parameters, Func<DbParameter> create, bool isNamed)
    {
        var number = 0;
        var identity = Add("");
        if (messages is [var (one, _)])
        {
            AddOne(one);
        }
        else
        {
            AddAll(messages.ConvertAll(static m => m.Message));
        }

        if (now is { } time)
        {
            Add(time);
        }

        if (mark.Writer != 0)
        {
            Add(mark.Writer);
            Add(mark.Sequence);
        }

        return identity;

        void AddOne(NewMessage message)
        {
            Add(message.Id);
            Add(message.Data);
            Add(message.Backoff);
            Add(message.Undelivered);
            Add(message.Topic);
            Add(message.Type);
            Add(message.Delay);
            Add(message.Encoding);
            Add(message.Trace);
            Add(message.Priority);
            Add(message.RateKey);
            Add(message.TopicRetries ? 1 : 0);
        }

        void AddAll(List<NewMessage> all)
        {
            Add(Each(static m => m.Id));
            Add(Each(static m => m.Data));
            Add(Each(static m => m.Backoff));
            Add(Each(static m => m.Undelivered));
            Add(Each(static m => m.Topic));
            Add(Each(static m => m.Type));
            Add(Each(static m => m.Delay));
            Add(Each(static m => m.Encoding));
            Add(Each(static m => m.Trace));
            Add(Each(static m => m.Priority));
            Add(Each(static m => m.RateKey));
            Add(Each(static m => m.TopicRetries ? 1 : 0));

            T[] Each<T>(Func<NewMessage, T> column) => [.. all.Select(column)];
        }

        DbParameter Add<T>(T value)
        {
            var parameter = create();
            number++;
            if (isNamed)
            {
                parameter.ParameterName = string.Create(CultureInfo.InvariantCulture, $"{PlainSql.ParameterPrefix}{number}");
            }

            if (value is null)
            {
                // Of one type whether it has a value or not: another type would be another statement to prepare.
                parameter.DbType = DbType.String;
            }

            parameter.Value = value is null ? DBNull.Value : value;
            parameters.Add(parameter);
            return parameter;
        }
    }
}
