using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace Kv.Platform;

/// <summary>What tells a process from all others: its machine, that one's start, its space of process numbers, and when it began.</summary>
internal static class ProcessIdentity
{
    /// <summary>The machine: its name, and on Linux its own number.</summary>
    public static string Machine { get; } = Environment.MachineName + Read("/etc/machine-id");

    /// <summary>The start of the machine. Empty where the system does not tell it: there, when a process began tells as much.</summary>
    public static string Boot { get; } = Read("/proc/sys/kernel/random/boot_id");

    /// <summary>The space of process numbers, which a container on Linux has for itself; other systems have one.</summary>
    public static string Space { get; } = OperatingSystem.IsLinux() ? new FileInfo("/proc/self/ns/pid").LinkTarget ?? "" : "";

    /// <summary>When a process of this machine began, in the system's own words; empty if that cannot be found out.</summary>
    /// <param name="process">Its number.</param>
    /// <param name="ended">Whether it has ended, and only its parent has not asked for it yet.</param>
    public static string Began(int process, out bool ended)
    {
        ended = false;
        try
        {
            if (!OperatingSystem.IsLinux())
            {
                using var running = Process.GetProcessById(process);
                return running.StartTime.ToUniversalTime().ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture);
            }

            // The name of the program, in brackets, may hold anything.
            var stat = Read($"/proc/{process}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length < 20)
            {
                return "";
            }

            ended = fields[0] is "Z" or "X";
            return fields[19];
        }
        catch (Exception error) when (error is ArgumentException or InvalidOperationException or Win32Exception or NotSupportedException)
        {
            return "";
        }
    }

    /// <summary>Whether this machine has a process of a number; null if it does not tell.</summary>
    public static bool? Exists(int process)
    {
        try
        {
            using var running = Process.GetProcessById(process);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
        catch (Exception error) when (error is InvalidOperationException or Win32Exception)
        {
            return null;
        }
    }

    // Only Linux has what is read so.
    private static string Read(string file)
    {
        try
        {
            return OperatingSystem.IsLinux() && File.Exists(file) ? File.ReadAllText(file).Trim() : "";
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
