using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Loader;

namespace Kv.Eng;

/// <summary>Lets programs of this repository run where a package feed has an older SQLitePCLRaw than EF Core asks for.</summary>
/// <remarks>
/// Compiled into executables, tests and the design-time builds of the migrations, never into the packages that users reference. With
/// a SQLitePCLRaw as new as EF Core wants, none of this does anything.
/// </remarks>
internal static class SqliteFeedCompat
{
    private const string Core = "SQLitePCLRaw.core";
    private const string NativeProvider = "SQLitePCLRaw.provider.e_sqlite3";
    private static readonly Version Wanted = new(2, 1, 0);

    [ModuleInitializer]
    internal static void Install()
    {
        // The runtime refuses an assembly older than the one that was asked for, unless a resolver hands it over.
        AssemblyLoadContext.Default.Resolving += static (context, name) =>
            name.Name == Core && TrustedPath(Core) is { } path ? context.LoadFromAssemblyPath(path) : null;

        // The native library of 2.0.6 was built without usleep: each of SQLite's own short waits sleeps a whole second. Its place is
        // taken by the system's library where there is one.
        AppDomain.CurrentDomain.AssemblyLoad += static (_, loaded) => Route(loaded.LoadedAssembly);
        foreach (var assembly in AppDomain.CurrentDomain.GetAssemblies())
        {
            Route(assembly);
        }
    }

    private static void Route(Assembly assembly)
    {
        var name = assembly.GetName();
        if (name.Version >= Wanted || name.Name is null || !name.Name.StartsWith(NativeProvider, StringComparison.Ordinal))
        {
            return;
        }

        try
        {
            NativeLibrary.SetDllImportResolver(assembly, static (library, _, _) =>
                library == "e_sqlite3" && NativeLibrary.TryLoad("libsqlite3.so.0", out var handle) ? handle : 0);
        }
        catch (InvalidOperationException)
        {
            // Another assembly of this repository, loaded into the same process, has set the same resolver.
        }
    }

    private static string? TrustedPath(string assembly) =>
        (AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES") as string)?
            .Split(Path.PathSeparator)
            .FirstOrDefault(path => path.EndsWith(assembly + ".dll", StringComparison.Ordinal));
}
