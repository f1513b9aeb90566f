using System.Data.Common;

namespace Kv.Connections;

/// <summary>
/// Tables of the application's into which one command puts a row, and messages into the store's, and commits both by itself. That must not
/// be where the row may be left out without an error: its messages would be stored without it.
/// </summary>
internal abstract class LoneTables
{
    /// <summary>Whether a table is known to be none.</summary>
    /// <param name="table">The table, as the command names it.</param>
    public abstract bool Excludes(string table);

    /// <summary>Whether a table is one, in a connection's session. The command makes sure of it again, and fails if it is not.</summary>
    /// <param name="connection">The connection, which is open.</param>
    /// <param name="table">The table, as the command names it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public abstract ValueTask<bool> ContainsAsync(DbConnection connection, string table, CancellationToken cancellationToken);

    /// <summary>Learns from an error that is that of a command which found that it may not.</summary>
    /// <param name="error">The error.</param>
    /// <param name="connection">The connection.</param>
    /// <param name="table">The table, as the command names it.</param>
    /// <returns>What has changed since the last look; null for another error.</returns>
    public abstract string? LearnFrom(Exception error, DbConnection connection, string table);
}
