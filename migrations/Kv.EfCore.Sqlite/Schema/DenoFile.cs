using System.Data.Common;
using System.Globalization;

namespace Kv.Sqlite;

/// <summary>A file that Deno KV made: it keeps the number of its last schema step in a table of its own.</summary>
internal static class DenoFile
{
    // As Deno makes them.
    private const string FirstStep = """
        create table data_version (k integer primary key, version integer not null);
        insert into data_version (k, version) values (0, 0);
        create table kv (k blob primary key, v blob not null, v_encoding integer not null, version integer not null) without rowid
        """;

    private const string SecondStep = """
        create table queue (ts integer not null, id text not null, data blob not null, backoff_schedule text not null,
            keys_if_undelivered blob not null, primary key (ts, id));
        create table queue_running (deadline integer not null, id text not null, data blob not null, backoff_schedule text not null,
            keys_if_undelivered blob not null, primary key (deadline, id));
        insert or replace into migration_state (k, version) values (0, 2)
        """;

    /// <summary>
    /// Asks whether Deno made the file, and not this store, which makes it for Deno to open: the table says it in its own words.
    /// </summary>
    public const string IsOne = """
        select count(*) from sqlite_master
        where type = 'table' and name = 'migration_state' and sql not like '%k INTEGER PRIMARY KEY NOT NULL%'
        """;

    /// <summary>Whether Deno made the file.</summary>
    public static async ValueTask<bool> IsAsync(DbConnection connection, CancellationToken cancellationToken) =>
        await ScalarAsync(connection, IsOne, cancellationToken).ConfigureAwait(false) is not 0L;

    /// <summary>The file's schema step (specification 8.2), or null if Deno did not make it.</summary>
    public static async ValueTask<long?> StateAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        const string Table = "select count(*) from sqlite_master where type = 'table' and name = 'migration_state'";
        if (await ScalarAsync(connection, Table, cancellationToken).ConfigureAwait(false) is 0L)
        {
            return null;
        }

        var state = await ScalarAsync(connection, "select version from migration_state where k = 0", cancellationToken)
            .ConfigureAwait(false);
        return state is null ? 0 : Convert.ToInt64(state, CultureInfo.InvariantCulture);
    }

    /// <summary>Brings a file to a step from which our migrations go on, in the transaction that is open.</summary>
    public static async ValueTask PrepareAsync(DbConnection connection, long step, CancellationToken cancellationToken)
    {
        if (step <= 0)
        {
            // Killed after it had made the table of its steps, and before the first of them.
            await ScalarAsync(connection, $"{FirstStep}; {SecondStep}", cancellationToken).ConfigureAwait(false);
        }
        else if (step == 1)
        {
            await ScalarAsync(connection, SecondStep, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            // Its key allows what ours does not: a message has one holder. Each is a message of its own then.
            await ScalarAsync(
                connection,
                "update queue_running set id = lower(hex(randomblob(16))) where rowid not in (select min(rowid) from queue_running group "
                + "by id)",
                cancellationToken).ConfigureAwait(false);
        }
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
