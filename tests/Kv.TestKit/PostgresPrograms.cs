using System.Globalization;
using System.Text.RegularExpressions;

namespace Kv.TestKit;

/// <summary>Finds the folder with the programs of a PostgreSQL server.</summary>
internal static partial class PostgresPrograms
{
    private static readonly string[] Needed = ["postgres", "initdb", "pg_ctl"];

    /// <summary>What pg_config says, then the PATH, then where packages put it, newest first. Null on Windows, which has no shell to guard the cluster.</summary>
    public static string? Find() =>
        OperatingSystem.IsWindows() ? null : Folders().FirstOrDefault(static folder => Array.TrueForAll(Needed, name => File.Exists(Path.Combine(folder, name))));

    private static IEnumerable<string> Folders()
    {
        var path = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        foreach (var folder in path.Where(static folder => File.Exists(Path.Combine(folder, "pg_config"))))
        {
            // The client's development files bring pg_config too, so what it names need not hold a server.
            yield return Shell.Run(Path.Combine(folder, "pg_config"), "--bindir").Trim();
        }

        foreach (var folder in path)
        {
            yield return folder;
        }

        foreach (var folder in Installed("/usr/lib/postgresql", "*")
            .Concat(Installed("/opt/homebrew/opt", "postgresql*"))
            .Concat(Installed("/usr/local/opt", "postgresql*"))
            .Concat(Installed("/usr", "pgsql-*"))
            .Concat(Installed("/Applications/Postgres.app/Contents/Versions", "*")))
        {
            yield return Path.Combine(folder, "bin");
        }

        yield return "/usr/local/pgsql/bin";
    }

    private static IEnumerable<string> Installed(string root, string pattern) =>
        Directory.Exists(root) ? Directory.GetDirectories(root, pattern).OrderByDescending(Version) : [];

    private static double Version(string folder) =>
        double.TryParse(VersionAtEnd().Match(folder).Value, CultureInfo.InvariantCulture, out var version) ? version : 0;

    [GeneratedRegex(@"\d+(\.\d+)?$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex VersionAtEnd();
}
