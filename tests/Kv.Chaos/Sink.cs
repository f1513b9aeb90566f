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
    private const int CloseOnExec = 0x80000;
    private const int ReadWriteForOwner = 0x180;
    private const int Interrupted = 4;
    private readonly int _descriptor;
    private readonly FileStream? _stream;

    public Sink(string path)
    {
        // The flags are those of Linux. Elsewhere one process at a time has to do.
        if (!OperatingSystem.IsLinux())
        {
            _stream = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            return;
        }

        _descriptor = Open(path, WriteOnlyAppendCreate | CloseOnExec, ReadWriteForOwner);
        if (_descriptor < 0)
        {
            throw new UsageException(
                $"The file '{path}' cannot be opened for appending: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}. Look at its folder and its rights.");
        }
    }

    /// <summary>Nanoseconds of the monotonic clock of the machine, the same for all its processes.</summary>
    public static long Now => (long)(Stopwatch.GetTimestamp() * (1e9m / Stopwatch.Frequency));

    /// <summary>Notes the begin or the end of a handler. The payload is written as it is.</summary>
    /// <param name="what"><c>D</c> or <c>E</c>.</param>
    /// <param name="name">Who.</param>
    /// <param name="payload">The payload.</param>
    /// <param name="attempt">The attempt, from 1.</param>
    /// <param name="end">How it ended: <c>ok</c>, <c>fail</c>, <c>cancel</c>, or <c>-</c>.</param>
    public void Write(char what, string name, ReadOnlySpan<byte> payload, int attempt, string end) => Write([
        .. Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{what}\t{Now}\t{name}\t")),
        .. payload,
        .. Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"\t{attempt}\t{end}\n")),
    ]);

    public void Write(byte[] line)
    {
        if (_stream is not null)
        {
            lock (_stream)
            {
                _stream.Write(line);
            }

            return;
        }

        nint written;
        do
        {
            written = Write(_descriptor, line, line.Length);
        }
        while (written < 0 && Marshal.GetLastPInvokeError() == Interrupted);

        // The rest of half a line would be a second write, between which others may come.
        if (written != line.Length)
        {
            throw new IOException(written < 0
                ? $"A line could not be appended: {Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())}."
                : $"Only {written} of the {line.Length} bytes of a line were appended.");
        }
    }

    public void Dispose()
    {
        if (_stream is null)
        {
            _ = Close(_descriptor);
        }
        else
        {
            _stream.Dispose();
        }
    }

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
