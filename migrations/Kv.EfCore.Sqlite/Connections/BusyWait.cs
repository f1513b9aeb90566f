using System.Runtime.CompilerServices;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Kv.Sqlite;

/// <summary>How the connections of contexts wait for the file's lock.</summary>
/// <remarks>
/// Microsoft.Data.Sqlite tries again every 150 ms, however short the lock is held. SQLite has a wait of its own, which the driver leaves
/// off: it looks after 1, 2, 5, 10, 15, 20 and 25 ms, and so on. The driver goes on after it, up to the command's timeout.
/// </remarks>
internal static class BusyWait
{
    private const int Milliseconds = 250;
    private static readonly ConditionalWeakTable<sqlite3, object> Known = [];

    /// <summary>Has SQLite wait, unless the connection has a wait of its own (<c>pragma busy_timeout</c>).</summary>
    public static void Shorten(SqliteConnection connection)
    {
        // A handle is used again by the next connection of its pool.
        if (connection.Handle is not { } handle || !Known.TryAdd(handle, Known))
        {
            return;
        }

        using var command = connection.CreateCommand();
        command.CommandText = "pragma busy_timeout";
        if (command.ExecuteScalar() is 0L)
        {
            raw.sqlite3_busy_timeout(handle, Milliseconds);
        }
    }
}
