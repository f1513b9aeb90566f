using Kv.Platform;
using Microsoft.Data.Sqlite;

namespace Kv.Sqlite;

/// <summary>
/// The file that a connection string names, by its full path: the driver looks relative ones up anew with each connection.
/// </summary>
internal static class DataSource
{
    private const string Folder = "|DataDirectory|";
    private const string Uri = "file:";
    private const string Memory = ":memory:";

    /// <summary>
    /// The connection string with the path that it means in this moment: of a database in memory, that of a new private file.
    /// </summary>
    /// <exception cref="ArgumentException">No file can be named so, by the rules of Deno's <c>openKv</c>.</exception>
    public static string Settle(string connectionString)
    {
        var settings = new SqliteConnectionStringBuilder(connectionString);
        if (IsMemory(settings))
        {
            (settings.DataSource, settings.Mode) = (MemoryFolder.Create(), SqliteOpenMode.ReadWriteCreate);
            return settings.ConnectionString;
        }

        if (settings.DataSource.Length == 0)
        {
            throw new ArgumentException(
                "Filename cannot be empty: the connection string of the store names no file. "
                + "Write Data Source=app.db, or Data Source=:memory: for a database that is gone with the store.",
                nameof(connectionString));
        }

        if (settings.DataSource[0] == ':')
        {
            throw new ArgumentException(
                $"Filename cannot start with ':' unless prefixed with './': received '{settings.DataSource}'. "
                + "Write the prefix, or :memory: for a database that is gone with the store.",
                nameof(connectionString));
        }

        if (Full(settings.DataSource) is not { } full)
        {
            return connectionString;
        }

        settings.DataSource = full;
        return settings.ConnectionString;
    }

    /// <summary>Whether a connection string says that the database is in memory.</summary>
    public static bool IsMemory(string connectionString) => IsMemory(new SqliteConnectionStringBuilder(connectionString));

    private static bool IsMemory(SqliteConnectionStringBuilder settings) =>
        settings.Cache != SqliteCacheMode.Shared && (settings.DataSource == Memory || settings.Mode == SqliteOpenMode.Memory);

    /// <returns>Null for what is no path, or a full one already.</returns>
    private static string? Full(string source)
    {
        if (source.StartsWith(Uri, StringComparison.OrdinalIgnoreCase))
        {
            return FullUri(source[Uri.Length..]) is { } full ? Uri + full : null;
        }

        // As the driver does it: without a data directory the macro is part of a name like any other.
        if (AppDomain.CurrentDomain.GetData("DataDirectory") is string { Length: > 0 } directory)
        {
            source = Path.Combine(
                directory, source.StartsWith(Folder, StringComparison.OrdinalIgnoreCase) ? source[Folder.Length..] : source);
        }

        return Path.GetFullPath(source);
    }

    /// <summary>The path of the file that a data source names.</summary>
    public static string PathOf(string source)
    {
        if (!source.StartsWith(Uri, StringComparison.OrdinalIgnoreCase))
        {
            return Path.GetFullPath(source);
        }

        // SQLite takes what is behind the scheme as it is, but for escapes, and an authority only after two slashes.
        var path = source[Uri.Length..];
        path = System.Uri.UnescapeDataString(path.IndexOfAny(['?', '#']) is >= 0 and var end ? path[..end] : path);
        if (path.StartsWith("//", StringComparison.Ordinal))
        {
            path = path.IndexOf('/', 2) is > 0 and var slash ? path[slash..] : path;
        }

        return Folders.OfUri(path);
    }

    // The working directory is the one part of it that is no text of the caller's, and so not escaped yet.
    private static string? FullUri(string uri)
    {
        var path = uri.AsSpan(0, uri.AsSpan().IndexOfAny('?', '#') is >= 0 and var end ? end : uri.Length);
        if (path.IsEmpty || path[0] == '/' || path.StartsWith(":memory:")
            || uri.Contains("mode=memory", StringComparison.OrdinalIgnoreCase) || Path.IsPathRooted(path.ToString()))
        {
            return null;
        }

        var directory = Environment.CurrentDirectory.Replace('\\', '/')
            .Replace("%", "%25", StringComparison.Ordinal)
            .Replace("?", "%3f", StringComparison.Ordinal)
            .Replace("#", "%23", StringComparison.Ordinal)
            .TrimEnd('/');
        return $"{(directory.StartsWith('/') || directory.Length == 0 ? "" : "/")}{directory}/{uri}";
    }
}
