using System.Reflection;

namespace Kv.Tests.Repository;

/// <summary>The files that these tests were built from.</summary>
internal static class Repo
{
    public static string Root { get; } = typeof(Repo).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(static a => a.Key == "RepositoryRoot").Value!;

    /// <summary>What is packed, each with the folder of its project.</summary>
    public static IReadOnlyDictionary<string, string> Packages { get; } = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["Kv.EfCore"] = "src/Kv.EfCore",
        ["Kv.Hosting"] = "src/Kv.Hosting",
        ["Kv.Testing"] = "src/Kv.Testing",
        ["Kv.OpenTelemetry"] = "src/Kv.OpenTelemetry",
        ["Kv.EfCore.Sqlite"] = "migrations/Kv.EfCore.Sqlite",
        ["Kv.EfCore.PostgreSql"] = "migrations/Kv.EfCore.PostgreSql",
    };

    public static string PathOf(string relative) => Path.Combine(Root, relative);

    /// <summary>Source files under a folder, without what the compiler and EF Core generate.</summary>
    public static IEnumerable<string> Sources(string folder) =>
        Directory.EnumerateFiles(PathOf(folder), "*.cs", SearchOption.AllDirectories)
            .Select(static file => Path.GetRelativePath(Root, file).Replace('\\', '/'))
            .Where(static file => !file.Contains("/obj/", StringComparison.Ordinal) && !file.Contains("/bin/", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal);
}
