using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Kv.Platform;
using SQLitePCL;

[assembly: DisableRuntimeMarshalling]

namespace Kv.Sqlite;

/// <summary>
/// What is called for each row: the functions of the SQLite that the driver uses, without what its wrapper does at each call.
/// </summary>
/// <remarks>
/// SQLitePCLRaw counts the users of a handle up and down around each call and lets the collector in twice, which is a fifth of a listing
/// (decision 0030). Here a run counts itself once; see <see cref="SqliteStatement"/>, the only one that calls.
/// </remarks>
internal static unsafe partial class NativeStatement
{
    private const string Driver = "the SQLite of the driver";

    // SQLITE_FCNTL_HAS_MOVED.
    private const int HasMovedOperation = 20;

    static NativeStatement() =>
        NativeLibrary.SetDllImportResolver(
            typeof(NativeStatement).Assembly, static (name, _, _) => name == Driver ? Load(raw.GetNativeLibraryName()) : 0);

    [LibraryImport(Driver, EntryPoint = "sqlite3_step")]
    [UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int Step(nint statement);

    [LibraryImport(Driver, EntryPoint = "sqlite3_reset")]
    [UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    public static partial int Reset(nint statement);

    // What follows takes less time than telling the collector of it.
    [LibraryImport(Driver, EntryPoint = "sqlite3_column_type")]
    [UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl), typeof(CallConvSuppressGCTransition)])]
    public static partial int TypeOf(nint statement, int column);

    [LibraryImport(Driver, EntryPoint = "sqlite3_column_int64")]
    [UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl), typeof(CallConvSuppressGCTransition)])]
    public static partial long Int64(nint statement, int column);

    [LibraryImport(Driver, EntryPoint = "sqlite3_file_control")]
    [UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    private static partial int FileControl(nint database, byte* name, int operation, void* argument);

    /// <summary>Whether the main file of a database is no longer at the path that it was opened by.</summary>
    /// <remarks>Not known on Windows, where an open file stays where it is.</remarks>
    public static bool HasMoved(sqlite3 database)
    {
        var moved = 0;
        fixed (byte* main = "main\0"u8)
        {
            return FileControl(database.DangerousGetHandle(), main, HasMovedOperation, &moved) == raw.SQLITE_OK && moved != 0;
        }
    }

    /// <summary>The bytes of a column, which are there until the next step.</summary>
    public static ReadOnlySpan<byte> Bytes(nint statement, int column)
    {
        var first = Blob(statement, column);
        return new(first, Length(statement, column));
    }

    /// <summary>
    /// Finds a library that is loaded already: the one that answers SQLitePCLRaw's calls, and no other, since handles of one are nothing to
    /// another.
    /// </summary>
    /// <param name="name">What SQLitePCLRaw calls it.</param>
    /// <exception cref="DllNotFoundException">There is none with functions to be called.</exception>
    internal static nint Load(string name)
    {
        fixed (byte* version = raw.sqlite3_libversion())
        {
            var answer = (nint)version;
            var found = LoadedLibrary.Find(name, typeof(NativeStatement).Assembly, answer, library => Answers(library, answer));
            return found != 0
                ? found
                : throw new DllNotFoundException(
                    $"The functions of SQLite {raw.sqlite3_libversion().utf8_to_string()}, which SQLitePCLRaw calls '{name}', could not be "
                    + "found in any library of the process. EfKv calls them itself, so they must be in a shared library (as in "
                    + "SQLitePCLRaw.bundle_e_sqlite3), not linked into the program.");
        }
    }

    private static bool Answers(nint library, nint version) =>
        NativeLibrary.TryGetExport(library, "sqlite3_libversion", out var function)
            && ((delegate* unmanaged[Cdecl]<nint>)function)() == version;

    [LibraryImport(Driver, EntryPoint = "sqlite3_column_blob")]
    [UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl), typeof(CallConvSuppressGCTransition)])]
    private static partial void* Blob(nint statement, int column);

    [LibraryImport(Driver, EntryPoint = "sqlite3_column_bytes")]
    [UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl), typeof(CallConvSuppressGCTransition)])]
    private static partial int Length(nint statement, int column);
}
