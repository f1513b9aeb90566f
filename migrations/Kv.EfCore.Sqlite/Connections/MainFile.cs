using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;
using Microsoft.Win32.SafeHandles;
using SQLitePCL;

namespace Kv.Sqlite;

/// <summary>The file that a connection has open as its main database.</summary>
/// <param name="Path">Its full path, as SQLite resolved it when it opened it: without symbolic links. Empty for a database in memory.</param>
/// <param name="Identity">The file itself, by whatever path it is found; null if it is no longer at its path.</param>
internal sealed partial record MainFile(string Path, string? Identity)
{
    private const int HasMoved = 20;
    private const int CurrentDirectory = -100;

    // Not its times: a kernel that has finer times for files whose times were asked for writes them anew at the next change.
    private const int FileNumber = 0x100;

    // Of macOS and of Linux (statx), where they have the numbers of the device and the file in it.
    private const int BufferSize = 256;

    public static MainFile Of(SqliteConnection connection)
    {
        var handle = connection.Handle ?? throw new InvalidOperationException("The connection is closed.");
        var path = raw.sqlite3_db_filename(handle, "main").utf8_to_string() ?? "";
        return new MainFile(path, path.Length == 0 || Moved(handle) ? null : IdentityOf(path));
    }

    /// <summary>The file that is at a path.</summary>
    public static MainFile At(string path) => new(path, path.Length == 0 ? null : IdentityOf(path));

    public override string ToString() => Path.Length == 0 ? "a database in memory"
        : Identity is null ? $"file '{Path}', which was deleted or replaced since it was opened"
        : $"file '{Path}'";

    private static unsafe bool Moved(sqlite3 handle)
    {
        var moved = 0;
        fixed (byte* main = "main\0"u8)
        {
            // Not known on Windows, where an open file stays where it is.
            return NativeStatement.FileControl(handle.DangerousGetHandle(), main, HasMoved, &moved) == raw.SQLITE_OK && moved != 0;
        }
    }

    /// <summary>The numbers of the device and of the file in it. Where a system does not tell them, the path stands for them.</summary>
    /// <remarks>The file is not opened on Unix: closing it again would end the locks that SQLite has on it for this process.</remarks>
    private static unsafe string? IdentityOf(string path)
    {
        try
        {
            if (OperatingSystem.IsWindows())
            {
                using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
                var info = stackalloc uint[13];
                return GetFileInformationByHandle(file, info) ? $"{info[7]}:{info[11]}:{info[12]}" : path;
            }

            var buffer = stackalloc byte[BufferSize];
            if (OperatingSystem.IsMacOS())
            {
                var found = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? Stat64(path, buffer) : Stat(path, buffer);
                return found == 0 ? $"{*(int*)buffer}:{*(ulong*)(buffer + 8)}" : null;
            }

            return Statx(CurrentDirectory, path, 0, FileNumber, buffer) == 0
                ? $"{*(uint*)(buffer + 136)}:{*(uint*)(buffer + 140)}:{*(ulong*)(buffer + 32)}"
                : null;
        }
        catch (Exception error) when (error is EntryPointNotFoundException or DllNotFoundException)
        {
            return File.Exists(path) ? path : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Statx(int directory, string path, int flags, uint mask, byte* buffer);

    [LibraryImport("libc", EntryPoint = "stat", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Stat(string path, byte* buffer);

    [LibraryImport("libc", EntryPoint = "stat$INODE64", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Stat64(string path, byte* buffer);

    [LibraryImport("kernel32")]
    [return: MarshalAs(UnmanagedType.Bool)]
    private static unsafe partial bool GetFileInformationByHandle(SafeFileHandle file, uint* information);
}
