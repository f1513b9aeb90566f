using System.Data;
using System.Data.Common;
using Kv.Commits;
using Kv.Connections;
using Kv.Messages;

namespace Kv.PostgreSql;

/// <summary>
/// Puts messages that nothing orders into a transaction of the user's, by one statement: it takes no lock, and puts nothing in where the
/// tables are others than the store's. So it needs no savepoint, which would cost more than the messages.
/// </summary>
/// <param name="session">The user's transaction.</param>
/// <param name="sql">The statements.</param>
/// <param name="serverClock">Whether the server's clock judges times.</param>
internal sealed class PlainMessages(Session session, PlainSql sql, bool serverClock)
{
    /// <summary>Puts them in.</summary>
    /// <param name="messages">The messages.</param>
    /// <param name="mark">The mark of the commit, or none.</param>
    /// <param name="now">The time, where the server's clock does not judge.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="OtherTablesException">The tables are others than the store's. Nothing was put in.</exception>
    public async ValueTask PutAsync(
        List<(NewMessage Message, long VersionOffset)> messages, CommitMark mark, long now, CancellationToken cancellationToken)
    {
        var isMarked = mark.Writer != 0;
        var batch = session.Connection.CreateBatch();
        await using var _ = batch.ConfigureAwait(false);
        batch.Transaction = session.Transaction;
        var command = batch.CreateBatchCommand();
        batch.BatchCommands.Add(command);
        var identity = Add(command, "");
        if (messages is [var (one, _)])
        {
            command.CommandText = isMarked ? sql.PutOneMarked : sql.PutOne;
            AddOne(command, one);
        }
        else
        {
            command.CommandText = isMarked ? sql.PutMarked : sql.Put;
            AddAll(command, messages.ConvertAll(static m => m.Message));
        }

        if (!serverClock)
        {
            Add(command, now);
        }

        if (isMarked)
        {
            Add(command, mark.Writer);
            Add(command, mark.Sequence);
        }

        // It makes sure of the tables first where the session has not prepared the statement yet.
        await session.PrepareAsync(batch, command.CommandText, cancellationToken).ConfigureAwait(false);
        identity.Value = session.Identity?.Tables ?? "";
        if (await batch.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false) == 0)
        {
            throw new OtherTablesException();
        }
    }

    // In the order of the statements' parameters.
    private static void AddOne(DbBatchCommand command, NewMessage message)
    {
        Add(command, message.Id);
        Add(command, message.Data);
        Add(command, message.Backoff);
        Add(command, message.Undelivered);
        Add(command, message.Topic);
        Add(command, message.Type);
        Add(command, message.Delay);
        Add(command, message.Encoding);
        Add(command, message.Trace);
        Add(command, message.Priority);
        Add(command, message.RateKey);
        Add(command, message.TopicRetries ? 1 : 0);
    }

    private static void AddAll(DbBatchCommand command, List<NewMessage> messages)
    {
        Add(command, All(static m => m.Id));
        Add(command, All(static m => m.Data));
        Add(command, All(static m => m.Backoff));
        Add(command, All(static m => m.Undelivered));
        Add(command, All(static m => m.Topic));
        Add(command, All(static m => m.Type));
        Add(command, All(static m => m.Delay));
        Add(command, All(static m => m.Encoding));
        Add(command, All(static m => m.Trace));
        Add(command, All(static m => m.Priority));
        Add(command, All(static m => m.RateKey));
        Add(command, All(static m => m.TopicRetries ? 1 : 0));

        T[] All<T>(Func<NewMessage, T> column) => [.. messages.Select(column)];
    }

    private static DbParameter Add<T>(DbBatchCommand command, T value)
    {
        var parameter = command.CreateParameter();
        if (value is null)
        {
            // Of one type whether it has a value or not: another type would be another statement to prepare.
            parameter.DbType = DbType.String;
        }

        parameter.Value = value is null ? DBNull.Value : value;
        command.Parameters.Add(parameter);
        return parameter;
    }
}
