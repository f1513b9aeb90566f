using System.Data.Common;
using System.Globalization;

namespace Kv.Sqlite;

/// <summary>A file that Deno KV made: it keeps the number of its last schema step in a table of its own.</summary>
internal static class DenoFile
{
    /// <summary>The file's schema step (specification 8.2), or null if Deno did not make it.</summary>
    public static async ValueTask<long?> StateAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        if (await ScalarAsync(connection, "select count(*) from sqlite_master where type = 'table' and name = 'migration_state'", cancellationToken).ConfigureAwait(false) is 0L)
        {
            return null;
        }

        var state = await ScalarAsync(connection, "select version from migration_state where k = 0", cancellationToken).ConfigureAwait(false);
        return state is null ? 0 : Convert.ToInt64(state, CultureInfo.InvariantCulture);
    }

    private static async ValueTask<object?> ScalarAsync(DbConnection connection, string text, CancellationToken cancellationToken)
    {
        var command = connection.CreateCommand();
        await using (command.ConfigureAwait(false))
        {
            command.CommandText = text;
            return await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
