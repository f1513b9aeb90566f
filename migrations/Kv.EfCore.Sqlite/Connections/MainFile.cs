using System.Runtime.CompilerServices;
using Kv.Platform;
using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace Kv.Sqlite;

/// <summary>The file that a connection has open as its main database.</summary>
/// <param name="Path">
/// Its full path, as SQLite resolved it when it opened it: without symbolic links. Empty for a database in memory.
/// </param>
/// <param name="Identity">The file itself, by whatever path it is found; null if it is no longer at its path.</param>
internal sealed record MainFile(string Path, string? Identity)
{
    // What a handle has open stays the same file for its life.
    private static readonly ConditionalWeakTable<sqlite3, MainFile> Open = [];

    public static MainFile Of(SqliteConnection connection)
    {
        var handle = connection.Handle ?? throw new InvalidOperationException("The connection is closed.");
        if (Open.TryGetValue(handle, out var known))
        {
            return NativeStatement.HasMoved(handle) ? known with { Identity = null } : known;
        }

        var path = raw.sqlite3_db_filename(handle, "main").utf8_to_string() ?? "";
        var identity = path.Length == 0 ? null : FileIdentity.Of(path);

        // Asked for last: if it has not moved by then, it was the file at the path before.
        if (path.Length > 0 && NativeStatement.HasMoved(handle))
        {
            return new MainFile(path, null);
        }

        var file = new MainFile(path, identity);
        if (identity is not null)
        {
            Open.AddOrUpdate(handle, file);
        }

        return file;
    }

    /// <summary>The file that is at a path.</summary>
    public static MainFile At(string path) => new(path, path.Length == 0 ? null : FileIdentity.Of(path));

    public override string ToString() => Path.Length == 0 ? "a database in memory"
        : Identity is null ? $"file '{Path}', which was deleted or replaced since it was opened"
        : $"file '{Path}'";
}
