using Kv.Connections;
using Kv.Platform;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Kv.Sqlite;

/// <summary>The file that a connection has open, and its log.</summary>
internal sealed class OpenFile : OpenStorage
{
    private readonly sqlite3 _database;
    private readonly string _path;
    private readonly string _log;

    public OpenFile(SqliteConnection connection)
    {
        _database = SqliteStatement.HandleOf(connection) ?? throw new InvalidOperationException("The connection is closed.");
        _path = raw.sqlite3_db_filename(_database, "main").utf8_to_string() ?? "";
        _log = _path + "-wal";
    }

    /// <remarks>
    /// Two calls of the kernel, after each commit: nothing beside one that is written through. A log is there once something was written.
    /// </remarks>
    public override string? FindLoss(bool hasWritten) =>
        NativeStatement.HasMoved(_database) ? Say($"The file '{_path}' was deleted, moved or replaced")
        : hasWritten && _path.Length > 0 && !FileIdentity.IsThere(_log) ? Say($"The log '{_log}' of the file was deleted or moved")
        : null;

    private static string Say(string what) =>
        $"{what} while the store had it open. What is written since then goes into a file that has no name any more, and no other program "
        + "and no later start will find it. Put the file back, or restore a backup, then write again; a file is only to be replaced, with "
        + "its -wal and -shm, while no program has it open.";
}
