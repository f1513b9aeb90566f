using Microsoft.Data.Sqlite;

namespace Kv.Sqlite;

/// <summary>The file that a connection string names, by its full path: the driver looks relative ones up anew with each connection.</summary>
internal static class DataSource
{
    private const string Folder = "|DataDirectory|";
    private const string Uri = "file:";

    /// <summary>The connection string with the path that it means in this moment.</summary>
    public static string Settle(string connectionString)
    {
        var settings = new SqliteConnectionStringBuilder(connectionString);
        if (settings.DataSource is "" or ":memory:" || settings.Mode == SqliteOpenMode.Memory || Full(settings.DataSource) is not { } full)
        {
            return connectionString;
        }

        settings.DataSource = full;
        return settings.ConnectionString;
    }

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
            source = Path.Combine(directory, source.StartsWith(Folder, StringComparison.OrdinalIgnoreCase) ? source[Folder.Length..] : source);
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

        return Path.GetFullPath(OperatingSystem.IsWindows() ? path.TrimStart('/') : path);
    }

    // The working directory is the one part of it that is no text of the caller's, and so not escaped yet.
    private static string? FullUri(string uri)
    {
        var path = uri.AsSpan(0, uri.AsSpan().IndexOfAny('?', '#') is >= 0 and var end ? end : uri.Length);
        if (path.IsEmpty || path[0] == '/' || path.StartsWith(":memory:") || uri.Contains("mode=memory", StringComparison.OrdinalIgnoreCase) || Path.IsPathRooted(path.ToString()))
        {
            return null;
        }

        var directory = Environment.CurrentDirectory.Replace('\\', '/')
            .Replace("%", "%25", StringComparison.Ordinal).Replace("?", "%3f", StringComparison.Ordinal).Replace("#", "%23", StringComparison.Ordinal).TrimEnd('/');
        return $"{(directory.StartsWith('/') || directory.Length == 0 ? "" : "/")}{directory}/{uri}";
    }
}
