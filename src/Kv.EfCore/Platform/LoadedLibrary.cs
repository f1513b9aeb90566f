using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;

namespace Kv.Platform;

/// <summary>Native libraries that the process has loaded already.</summary>
internal static class LoadedLibrary
{
    /// <summary>Finds the library in which an address lies.</summary>
    /// <param name="name">
    /// What its user calls it: .NET tries it with the system's own beginning and end (<c>lib….so</c>, <c>lib….dylib</c>,
    /// <c>….dll</c>).
    /// </param>
    /// <param name="user">The assembly that uses it, beside which it may be.</param>
    /// <param name="address">The address.</param>
    /// <param name="isIt">Whether a library is the one that is looked for.</param>
    /// <returns>Its handle; 0 if there is none.</returns>
    public static nint Find(string name, Assembly user, nint address, Func<nint, bool> isIt)
    {
        if (NativeLibrary.TryLoad(name, user, null, out var library) && isIt(library))
        {
            return library;
        }

        // Loaded under another name: the module in which the address lies. On macOS .NET tells of the program's own alone.
        using var process = Process.GetCurrentProcess();
        foreach (ProcessModule module in process.Modules)
        {
            if ((nuint)(address - module.BaseAddress) < (nuint)module.ModuleMemorySize
                && NativeLibrary.TryLoad(module.FileName, out library)
                && isIt(library))
            {
                return library;
            }
        }

        return 0;
    }
}
