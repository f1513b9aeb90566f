using System.Data.Common;
using System.Globalization;

namespace Kv.Maintenance;

/// <summary>What one kind of database needs done for it, over a connection of its own.</summary>
internal abstract class DatabaseMaintenance
{
    /// <summary>What it does, in this order.</summary>
    public abstract IReadOnlyList<MaintenanceWork> Works { get; }

    /// <summary>Asks the database how much there is to do.</summary>
    public abstract Task<KvMaintenanceState> StateAsync(DbConnection connection, CancellationToken cancellationToken);

    /// <summary>Runs a statement for as long as it takes.</summary>
    protected static async Task ExecuteAsync(DbConnection connection, string text, CancellationToken cancellationToken)
    {
        var command = Command(connection, text);
        await using (command.ConfigureAwait(false))
        {
            await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>The numbers of the first row of an answer.</summary>
    protected static async Task<long[]> NumbersAsync(DbConnection connection, string text, CancellationToken cancellationToken)
    {
        var command = Command(connection, text);
        await using (command.ConfigureAwait(false))
        {
            var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                return [.. Enumerable.Range(0, reader.FieldCount).Select(
                    i => Convert.ToInt64(reader.GetValue(i), CultureInfo.InvariantCulture))];
            }
        }
    }

    /// <summary>The texts of the first column of an answer.</summary>
    protected static async Task<List<string>> TextsAsync(DbConnection connection, string text, CancellationToken cancellationToken)
    {
        var command = Command(connection, text);
        await using (command.ConfigureAwait(false))
        {
            var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                List<string> texts = [];
                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    texts.Add(reader.GetString(0));
                }

                return texts;
            }
        }
    }

    private static DbCommand Command(DbConnection connection, string text)
    {
        var command = connection.CreateCommand();
        command.CommandText = text;
        command.CommandTimeout = 0;
        return command;
    }
}

/// <summary>A step over a connection.</summary>
/// <param name="Name">Its name in <see cref="KvMaintenanceStep"/>.</param>
/// <param name="RunAsync">Does it, and says how much was done and why not all.</param>
internal sealed record MaintenanceWork(string Name, Func<DbConnection, CancellationToken, Task<(long Done, string? Problem)>> RunAsync);
