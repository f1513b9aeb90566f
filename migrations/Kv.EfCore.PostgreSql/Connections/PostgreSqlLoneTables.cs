using System.Collections.Concurrent;
using System.Data.Common;
using Kv.Connections;
using Npgsql;

namespace Kv.PostgreSql;

/// <summary>Tables that store each row that is inserted, or fail, as far as the server's catalogs tell.</summary>
/// <remarks>Sessions that have put in no messages by themselves yet have none: what stands in their way is found and told there.</remarks>
/// <param name="driver">The database.</param>
internal sealed class PostgreSqlLoneTables(PostgreSqlDriver driver) : LoneTables
{
    private const int MostTables = 1000;
    private const int MostSessions = 4096;
    private readonly ConcurrentDictionary<string, bool> _tables = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _sessions = new(StringComparer.Ordinal);

    public override bool Excludes(string table) => !_tables.GetValueOrDefault(table, true);

    public override async ValueTask<bool> ContainsAsync(DbConnection connection, string table, CancellationToken cancellationToken)
    {
        if (driver.SessionName(connection) is not { } session || !driver.Appended.IsTried(session)
            || !_sessions.GetValueOrDefault(session, true) || Excludes(table))
        {
            return false;
        }

        return (_sessions.ContainsKey(session) || await AskSessionAsync(connection, session, cancellationToken).ConfigureAwait(false))
            && (_tables.ContainsKey(table) || await AskTableAsync(connection, table, cancellationToken).ConfigureAwait(false));
    }

    public override string? LearnFrom(Exception error, DbConnection connection, string table)
    {
        if (error is not PostgresException { SqlState: PostgresErrorCodes.InvalidTextRepresentation, MessageText: var text })
        {
            return null;
        }

        if (text.Contains(PlainSql.LeavesOut, StringComparison.Ordinal))
        {
            _tables[table] = false;
            return $"{table} or the store's queue has got a rule, or a trigger that runs before each inserted row, or is no ordinary table";
        }

        if (text.Contains(PlainSql.OtherIsolation, StringComparison.Ordinal))
        {
            if (driver.SessionName(connection) is { } session)
            {
                _sessions[session] = false;
            }

            return "the session has got another default isolation of its transactions";
        }

        return text.Contains(PlainSql.OtherTables, StringComparison.Ordinal)
            ? "the server was started again, or the store's tables were made anew"
            : null;
    }

    private static async ValueTask<bool?> AskAsync(DbConnection connection, string text, CancellationToken cancellationToken)
    {
        var command = connection.CreateCommand();
        await using var _ = command.ConfigureAwait(false);
        command.CommandText = text;
        return await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) as bool?;
    }

    private async ValueTask<bool> AskSessionAsync(DbConnection connection, string session, CancellationToken cancellationToken)
    {
        if (_sessions.Count >= MostSessions)
        {
            _sessions.Clear();
        }

        return _sessions[session] = await AskAsync(connection, PlainSql.IsLoneSession, cancellationToken).ConfigureAwait(false) == true;
    }

    private async ValueTask<bool> AskTableAsync(DbConnection connection, string table, CancellationToken cancellationToken)
    {
        // The statement has parameters that begin with the one, and the other may be more than itself in a text.
        if (_tables.Count >= MostTables || table.AsSpan().ContainsAny('$', '\\'))
        {
            return false;
        }

        // Nothing for a table that there is not: it may come.
        return await AskAsync(connection, driver.Sql.Plain.IsLone(table), cancellationToken).ConfigureAwait(false) is { } isOne
            && (_tables[table] = isOne);
    }
}
