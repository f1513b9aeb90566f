using System.Reflection;
using Kv.Platform;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Setup;

/// <summary>The SQLite file of an application that names no database: in the user's own folder, under the application's name.</summary>
/// <remarks>As Deno KV keeps what a program opens without a path.</remarks>
internal static class DefaultFile
{
    private const string Name = "kv.sqlite3";

    /// <summary>Where the file is.</summary>
    /// <exception cref="InvalidOperationException">The user has no folder.</exception>
    public static string PathOf(IServiceProvider provider)
    {
        var folder = Folders.UserData;
        return folder.Length > 0
            ? Path.Combine(folder, ApplicationOf(provider), Name)
            : throw new InvalidOperationException(
                "No database is named for the store, and the user that runs the application has no folder for its data, in which a file "
                + "could be. Name a database in the configuration: "
                + "\"Kv\": { \"Provider\": \"Sqlite\", \"ConnectionString\": \"Data Source=app.db\" }.");
    }

    /// <summary>Where the file is, with the folder made that it is in.</summary>
    public static string Make(IServiceProvider provider)
    {
        var path = PathOf(provider);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        return path;
    }

    // As hosts call the application.
    private static string ApplicationOf(IServiceProvider provider) =>
        provider.GetService<IConfiguration>()?["applicationName"] is { Length: > 0 } said ? said
        : Assembly.GetEntryAssembly()?.GetName().Name ?? "efkv";
}
