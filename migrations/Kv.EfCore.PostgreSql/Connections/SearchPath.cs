using System.Data.Common;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.PostgreSql;

/// <summary>
/// Has the contexts of a store search one schema alone: their model and their migrations name none, so both are those of every store.
/// </summary>
/// <param name="schema">The schema; it need not be there yet.</param>
internal sealed class SearchPath(string schema) : DbConnectionInterceptor
{
    private readonly string _text = $"set search_path to \"{schema}\"";

    public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData)
    {
        using var command = Command(connection);
        command.ExecuteNonQuery();
    }

    public override async Task ConnectionOpenedAsync(
        DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default)
    {
        var command = Command(connection);
        await using (command.ConfigureAwait(false))
        {
            await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private DbCommand Command(DbConnection connection)
    {
        var command = connection.CreateCommand();
        command.CommandText = _text;
        return command;
    }
}
