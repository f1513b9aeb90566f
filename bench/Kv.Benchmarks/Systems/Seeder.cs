using System.Data.Common;
using Npgsql;

namespace Kv.Benchmarks.Systems;

/// <summary>Fills tables as fast as the database can; what is measured comes later.</summary>
public static class Seeder
{
    public static async Task FillAsync(DbConnection connection, string table, string[] columns, IEnumerable<object[]> rows)
    {
        if (connection is NpgsqlConnection postgres)
        {
            await CopyAsync(postgres, table, columns, rows);

            // Now, and not by the server in the midst of a measurement.
            await RunAsync(connection, $"vacuum analyze {table}");
            await RunAsync(connection, "checkpoint");
            return;
        }

        await RunAsync(connection, "begin immediate");
        await using (var insert = connection.CreateCommand())
        {
            insert.CommandText = $"insert into {table} ({string.Join(", ", columns)}) values ({string.Join(", ", columns.Select(static (_, i) => $"@p{i}"))})";
            for (var i = 0; i < columns.Length; i++)
            {
                var parameter = insert.CreateParameter();
                parameter.ParameterName = $"@p{i}";
                insert.Parameters.Add(parameter);
            }

            foreach (var row in rows)
            {
                for (var i = 0; i < row.Length; i++)
                {
                    insert.Parameters[i].Value = row[i];
                }

                insert.ExecuteNonQuery();
            }
        }

        await RunAsync(connection, "commit");
        await RunAsync(connection, "pragma wal_checkpoint(truncate)");
    }

    public static async Task RunAsync(DbConnection connection, string text)
    {
        await using var command = connection.CreateCommand();
        command.CommandText = text;
        await command.ExecuteNonQueryAsync();
    }

    private static async Task CopyAsync(NpgsqlConnection connection, string table, string[] columns, IEnumerable<object[]> rows)
    {
        await using var copy = await connection.BeginBinaryImportAsync($"copy {table} ({string.Join(", ", columns)}) from stdin (format binary)");
        foreach (var row in rows)
        {
            await copy.WriteRowAsync(CancellationToken.None, row);
        }

        await copy.CompleteAsync();
    }
}
