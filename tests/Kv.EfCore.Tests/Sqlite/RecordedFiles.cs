using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Kv.Tests.Sqlite;

/// <summary>
/// A file system of SQLite's (a VFS) that does what the usual one does, and keeps in mind what is written, cut short and synced in which
/// order: what a power cut leaves can be made from that.
/// </summary>
/// <remarks>
/// The structures are those of <c>sqlite3.h</c> (https://sqlite.org/c3ref/vfs.html, https://sqlite.org/c3ref/io_methods.html).
/// </remarks>
internal static unsafe partial class RecordedFiles
{
    /// <summary>What a connection string calls it (<c>Vfs</c>).</summary>
    public const string Name = "efkv-recorded";

    private const int IsDatabase = 0x100;
    private const int IsLog = 0x80000;
    private static readonly Lock Gate = new();
    private static readonly Dictionary<nint, (FileHistory History, nint Methods)> Open = [];
    private static readonly Dictionary<nint, nint> Replaced = [];
    private static readonly Dictionary<string, FileHistory> Histories = new(StringComparer.Ordinal);
    private static Vfs* _usual;

    /// <summary>Begins to keep in mind what happens to a database's file and log.</summary>
    /// <param name="path">The full path of a file that no connection has open.</param>
    public static FileHistory Record(string path)
    {
        lock (Gate)
        {
            Register();
            var history = new FileHistory(path, Gate);
            Histories.Add(path, history);
            return history;
        }
    }

    private static void Register()
    {
        if (_usual != null)
        {
            return;
        }

        _usual = Find(null);
        var recorded = (Vfs*)NativeMemory.Alloc((nuint)sizeof(Vfs));
        *recorded = *_usual;
        recorded->Next = null;
        recorded->NameText = (byte*)Marshal.StringToCoTaskMemUTF8(Name);
        recorded->Open = &OpenFile;
        if (RegisterVfs(recorded, 0) is not 0 and var error)
        {
            throw new InvalidOperationException($"SQLite took no file system: {error}.");
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int OpenFile(Vfs* vfs, byte* name, NativeFile* file, int flags, int* outFlags)
    {
        var result = _usual->Open(vfs, name, file, flags, outFlags);
        if (result != 0 || (flags & (IsDatabase | IsLog)) == 0)
        {
            return result;
        }

        var isLog = (flags & IsLog) != 0;
        var path = Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));
        lock (Gate)
        {
            if (Histories.TryGetValue(isLog ? path[..^"-wal".Length] : path, out var history))
            {
                Open[(nint)file] = (history, (nint)file->Methods);
                file->Methods = Replace(file->Methods, isLog);
            }
        }

        return result;
    }

    // The methods depend on how a file is locked, so there are several tables of them.
    private static FileMethods* Replace(FileMethods* usual, bool isLog)
    {
        if (!Replaced.TryGetValue((nint)usual + (isLog ? 1 : 0), out var own))
        {
            var copy = (FileMethods*)NativeMemory.Alloc((nuint)sizeof(FileMethods));
            *copy = *usual;
            copy->Write = isLog ? &WriteLog : &WriteDatabase;
            copy->Truncate = isLog ? &TruncateLog : &TruncateDatabase;
            copy->Sync = isLog ? &SyncLog : &SyncDatabase;
            Replaced.Add((nint)usual + (isLog ? 1 : 0), own = (nint)copy);
        }

        return (FileMethods*)own;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int WriteLog(NativeFile* file, byte* data, int count, long offset) => Write(file, isLog: true, data, count, offset);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int WriteDatabase(NativeFile* file, byte* data, int count, long offset) =>
        Write(file, isLog: false, data, count, offset);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int TruncateLog(NativeFile* file, long size) => Truncate(file, isLog: true, size);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int TruncateDatabase(NativeFile* file, long size) => Truncate(file, isLog: false, size);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int SyncLog(NativeFile* file, int flags) => Sync(file, isLog: true, flags);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int SyncDatabase(NativeFile* file, int flags) => Sync(file, isLog: false, flags);

    private static int Write(NativeFile* file, bool isLog, byte* data, int count, long offset)
    {
        lock (Gate)
        {
            var (history, usual) = Open[(nint)file];
            var result = ((FileMethods*)usual)->Write(file, data, count, offset);
            if (result == 0)
            {
                history.Add(new FileEvent(FileEventKind.Write, isLog, offset, new ReadOnlySpan<byte>(data, count).ToArray()));
            }

            return result;
        }
    }

    private static int Truncate(NativeFile* file, bool isLog, long size)
    {
        lock (Gate)
        {
            var (history, usual) = Open[(nint)file];
            var result = ((FileMethods*)usual)->Truncate(file, size);
            if (result == 0)
            {
                history.Add(new FileEvent(FileEventKind.Truncate, isLog, size, []));
            }

            return result;
        }
    }

    private static int Sync(NativeFile* file, bool isLog, int flags)
    {
        lock (Gate)
        {
            var (history, usual) = Open[(nint)file];
            var result = ((FileMethods*)usual)->Sync(file, flags);
            if (result == 0)
            {
                history.Add(new FileEvent(FileEventKind.Sync, isLog, 0, []));
            }

            return result;
        }
    }

    [LibraryImport("e_sqlite3", EntryPoint = "sqlite3_vfs_find")]
    [UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    private static partial Vfs* Find(byte* name);

    [LibraryImport("e_sqlite3", EntryPoint = "sqlite3_vfs_register")]
    [UnmanagedCallConv(CallConvs = [typeof(CallConvCdecl)])]
    private static partial int RegisterVfs(Vfs* vfs, int isUsual);

    [StructLayout(LayoutKind.Sequential)]
    private struct NativeFile
    {
        public FileMethods* Methods;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Vfs
    {
        public int Version;
        public int FileSize;
        public int LongestPath;
        public Vfs* Next;
        public byte* NameText;
        public void* Data;
        public delegate* unmanaged[Cdecl]<Vfs*, byte*, NativeFile*, int, int*, int> Open;
        public Others Rest;

        /// <summary>xDelete to xNextSystemCall.</summary>
        [InlineArray(14)]
        public struct Others
        {
            private nint _first;
        }
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct FileMethods
    {
        public int Version;
        public nint Close;
        public nint Read;
        public delegate* unmanaged[Cdecl]<NativeFile*, byte*, int, long, int> Write;
        public delegate* unmanaged[Cdecl]<NativeFile*, long, int> Truncate;
        public delegate* unmanaged[Cdecl]<NativeFile*, int, int> Sync;
        public Others Rest;

        /// <summary>xFileSize to xUnfetch.</summary>
        [InlineArray(13)]
        public struct Others
        {
            private nint _first;
        }
    }
}
