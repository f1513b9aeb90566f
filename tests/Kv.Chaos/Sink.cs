using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace Kv.Chaos;

/// <summary>A file that many processes append lines to: each line is one write to a file opened with O_APPEND, so lines never mix.</summary>
/// <remarks>.NET's own append mode seeks once and then writes where it believes the end to be, which is not the same with several processes.</remarks>
internal sealed partial class Sink : IDisposable
{
    private const int WriteOnlyAppendCreate = 0x1 | 0x400 | 0x40;
    private const int ReadWriteForOwner = 0x180;
    private readonly int _descriptor;

    public Sink(string path)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new UsageException("The sink is written with the system calls of Linux; run this there.");
        }

        _descriptor = Open(path, WriteOnlyAppendCreate, ReadWriteForOwner);
        if (_descriptor < 0)
        {
            throw new UsageException($"The file '{path}' cannot be opened for appending: error {Marshal.GetLastPInvokeError()}. Look at its folder and its rights.");
        }
    }

    /// <summary>Notes the begin or the end of a handler. The payload is written as it is.</summary>
    /// <param name="what"><c>D</c> or <c>E</c>.</param>
    /// <param name="name">Who.</param>
    /// <param name="payload">The payload.</param>
    /// <param name="attempt">The attempt, from 1.</param>
    /// <param name="end">How it ended: <c>ok</c>, <c>fail</c>, <c>cancel</c>, or <c>-</c>.</param>
    public void Write(char what, string name, ReadOnlySpan<byte> payload, int attempt, string end)
    {
        // The monotonic clock of the machine, the same for all processes.
        var nanoseconds = (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));
        Write([
            .. Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{what}\t{nanoseconds}\t{name}\t")),
            .. payload,
            .. Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"\t{attempt}\t{end}\n")),
        ]);
    }

    public void Write(byte[] line)
    {
        if (Write(_descriptor, line, line.Length) != line.Length)
        {
            throw new IOException($"A line could not be appended: error {Marshal.GetLastPInvokeError()}.");
        }
    }

    public void Dispose() => _ = Close(_descriptor);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial nint Write(int descriptor, byte[] bytes, nint count);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static partial int Close(int descriptor);
}
