using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Loader;

namespace Kv.Eng;

/// <summary>Lets programs of this repository run where a package feed has an older SQLitePCLRaw than EF Core asks for.</summary>
/// <remarks>
/// Compiled into executables, tests and the design-time builds of the migrations, never into the packages that users reference. With
/// a SQLitePCLRaw as new as EF Core wants, none of this does anything. It names System in full, since bundles of migrations are compiled
/// without implicit usings.
/// </remarks>
internal static class SqliteFeedCompat
{
    private const string Core = "SQLitePCLRaw.core";
    private const string NativeProvider = "SQLitePCLRaw.provider.e_sqlite3";
    private static readonly System.Version Wanted = new(2, 1, 0);

    [ModuleInitializer]
    internal static void Install()
    {
        // The runtime refuses an assembly older than the one that was asked for. Asked for without a version, it hands over what is there.
        AssemblyLoadContext.Default.Resolving += static (context, name) =>
            name is { Name: Core, Version: not null } ? context.LoadFromAssemblyName(new AssemblyName(Core)) : null;

        // The native library of 2.0.6 was built without usleep: each of SQLite's own short waits sleeps a whole second. Its place is
        // taken by the system's library where there is one.
        System.AppDomain.CurrentDomain.AssemblyLoad += static (_, loaded) => Route(loaded.LoadedAssembly);
        foreach (var assembly in System.AppDomain.CurrentDomain.GetAssemblies())
        {
            Route(assembly);
        }
    }

    private static void Route(Assembly assembly)
    {
        var name = assembly.GetName();
        if (name.Version >= Wanted || name.Name is null || !name.Name.StartsWith(NativeProvider, System.StringComparison.Ordinal))
        {
            return;
        }

        try
        {
            NativeLibrary.SetDllImportResolver(assembly, static (library, _, _) =>
                library == "e_sqlite3" && NativeLibrary.TryLoad("libsqlite3.so.0", out var handle) ? handle : 0);
        }
        catch (System.InvalidOperationException)
        {
            // Another assembly of this repository, loaded into the same process, has set the same resolver.
        }
    }
}
