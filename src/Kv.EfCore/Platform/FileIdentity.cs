using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Kv.Platform;

/// <summary>Files by what they are, whatever their path.</summary>
internal static partial class FileIdentity
{
    private const int CurrentDirectory = -100;

    // Not its times: a kernel that has finer times for files whose times were asked for writes them anew at the next change.
    private const uint FileNumber = 0x100;

    // Of macOS and of Linux (statx), where they have the numbers of the device and the file in it.
    private const int BufferSize = 256;

    /// <summary>
    /// The numbers of the device and of the file in it; null if there is none. Where a system does not tell them, the path stands for them.
    /// </summary>
    /// <remarks>The file is not opened on Unix: closing it again would end the locks that SQLite has on it for this process.</remarks>
    public static string? Of(string path)
    {
        try
        {
            return OperatingSystem.IsWindows() ? OnWindows(path)
                : OperatingSystem.IsMacOS() ? OnMacOS(path)
                : OnLinux(path);
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

    /// <summary>Whether something is at a path.</summary>
    /// <remarks>
    /// Not by its attributes: a kernel that has finer times for files whose times were asked for (Linux 6.13) would write the times of a
    /// log anew with each commit, and a commit of one caller takes a quarter longer then.
    /// </remarks>
    public static bool IsThere(string path) => OperatingSystem.IsWindows() ? File.Exists(path) : Access(path, 0) == 0;

    // An open handle keeps no lock of another from lasting: locks belong to handles there.
    private static unsafe string OnWindows(string path)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var info = stackalloc uint[13];
        return GetFileInformationByHandle(file, info) ? $"{info[7]}:{info[11]}:{info[12]}" : path;
    }

    private static unsafe string? OnMacOS(string path)
    {
        var buffer = stackalloc byte[BufferSize];
        var found = RuntimeInformation.ProcessArchitecture == Architecture.X64 ? Stat64(path, buffer) : Stat(path, buffer);
        return found == 0 ? $"{*(int*)buffer}:{*(ulong*)(buffer + 8)}" : null;
    }

    private static unsafe string? OnLinux(string path)
    {
        var buffer = stackalloc byte[BufferSize];
        return Statx(CurrentDirectory, path, 0, FileNumber, buffer) == 0
            ? $"{*(uint*)(buffer + 136)}:{*(uint*)(buffer + 140)}:{*(ulong*)(buffer + 32)}"
            : null;
    }

    [LibraryImport("libc", EntryPoint = "access", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Access(string path, int mode);

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
