using System.Collections.Concurrent;
using Kv.Platform;
using Microsoft.Data.Sqlite;

namespace Kv.Sqlite;

/// <summary>A folder for the database of one store that is to be in memory: a private file, which is gone when the store is.</summary>
/// <remarks>
/// A database in SQLite's own memory belongs to one connection, or is shared by a cache that locks whole tables and knows no WAL; a store
/// reads beside a writer on several connections. So it has a file, in a folder that is backed by memory where the system has one. A process
/// that was killed leaves its folder behind, which the next process removes: the lock on a file in it ends with its owner.
/// </remarks>
internal sealed class MemoryFolder : IDisposable
{
    private const string Prefix = "efkv-memory-";
    private const string File = "store.db";
    private const string Owner = "owner";
    private static readonly ConcurrentDictionary<string, MemoryFolder> Mine = new(StringComparer.Ordinal);
    private static int _swept;
    private readonly string _path;
    private readonly FileStream _owner;

    private MemoryFolder(string path)
    {
        _path = path;
        Folders.CreatePrivate(path);
        _owner = Folders.OpenAlone(Path.Combine(path, Owner), FileMode.CreateNew);
    }

    /// <summary>Where such folders are: in memory where the system says so, else in its folder for temporary files.</summary>
    public static string Root => Folders.Memory;

    /// <summary>Makes a folder.</summary>
    /// <returns>The path of the database's file, which is not there yet.</returns>
    public static string Create()
    {
        if (Interlocked.Exchange(ref _swept, 1) == 0)
        {
            Sweep(Root);
            AppDomain.CurrentDomain.ProcessExit += static (_, _) =>
            {
                foreach (var left in Mine.Keys)
                {
                    Delete(left);
                }
            };
        }

        var folder = new MemoryFolder(Path.Combine(Root, $"{Prefix}{Guid.NewGuid():n}"));
        var file = Path.Combine(folder._path, File);
        Mine[file] = folder;
        return file;
    }

    /// <summary>Deletes the folder of a database, if it was made here.</summary>
    public static void Delete(string file)
    {
        if (Mine.TryRemove(file, out var folder))
        {
            folder.Dispose();
        }
    }

    /// <summary>Removes what processes left behind that did not come to an end by themselves.</summary>
    public static void Sweep(string root)
    {
        foreach (var path in Directory.EnumerateDirectories(root, Prefix + "*"))
        {
            try
            {
                // The process that holds it lives; a folder that is being made has no such file yet.
                using (Folders.OpenAlone(Path.Combine(path, Owner), FileMode.Open))
                {
                }

                Directory.Delete(path, recursive: true);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // Another one's.
            }
        }
    }

    public void Dispose()
    {
        // Contexts of the application may have left connections in the driver's pool.
        var settings = new SqliteConnectionStringBuilder { DataSource = Path.Combine(_path, File) };
        using (var connection = new SqliteConnection(settings.ConnectionString))
        {
            SqliteConnection.ClearPool(connection);
        }

        _owner.Dispose();
        try
        {
            Directory.Delete(_path, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // Where an open file cannot be deleted, a later process does it.
        }
    }
}
