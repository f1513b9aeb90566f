using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Kv.Platform;

namespace Kv.Worker;

/// <summary>The name of a worker, by which others on its machine can tell whether its process lives.</summary>
/// <remarks>
/// It says which machine, which start of it, which space of process numbers, which process, when that began, and which of its workers, each
/// in hexadecimal digits. A process number alone would be another's some day.
/// </remarks>
internal sealed class OwnerName : IDisposable
{
    private const int Length = 32;
    private const int MostProcess = 0xFFFFFF;
    private static readonly Lock Gate = new();
    private static readonly HashSet<string> Living = new(StringComparer.Ordinal);
    private static readonly string Machine = Digest(ProcessIdentity.Machine, 6);
    private static readonly string Start = Digest(ProcessIdentity.Boot, 6);
    private static readonly string Space = Digest(ProcessIdentity.Space, 4);
    private static readonly string Prefix = Machine + Start + Space + Process(Environment.ProcessId);
    private static int _last;

    public OwnerName()
    {
        lock (Gate)
        {
            Text = Prefix + (_last++ & 0xFFFF).ToString("x4", CultureInfo.InvariantCulture);
            Living.Add(Text);
        }
    }

    /// <summary>The name.</summary>
    public string Text { get; }

    /// <summary>The worker has ended.</summary>
    public void Dispose()
    {
        lock (Gate)
        {
            Living.Remove(Text);
        }
    }

    /// <summary>Whether the worker of a name is known not to live any more. What cannot be found out is not known.</summary>
    public static bool IsDead(string owner)
    {
        if (owner.Length != Length || !owner.StartsWith(Machine, StringComparison.Ordinal))
        {
            return false;
        }

        if (owner.StartsWith(Prefix, StringComparison.Ordinal))
        {
            lock (Gate)
            {
                return !Living.Contains(owner);
            }
        }

        // The machine has begun anew since, and nothing of before lives.
        if (!owner.AsSpan(6, 6).SequenceEqual(Start))
        {
            return true;
        }

        // Another container's number names another process here.
        return owner.AsSpan(12, 4).SequenceEqual(Space)
            && int.TryParse(owner.AsSpan(16, 6), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var process)
            && process > 0
            && HasEnded(process, owner[16..28]);
    }

    private static bool HasEnded(int process, string name)
    {
        if (ProcessIdentity.Exists(process) is not true and var exists)
        {
            return exists is false;
        }

        // The number may be another's by now. What was killed stays in the list until its parent has asked for it.
        var began = ProcessIdentity.Began(process, out var ended);
        return ended || (began.Length > 0 && Process(process) != name);
    }

    /// <summary>A process by its number and its beginning.</summary>
    private static string Process(int process) => string.Create(
        CultureInfo.InvariantCulture, $"{(process <= MostProcess ? process : 0):x6}{Digest(ProcessIdentity.Began(process, out _), 6)}");

    private static string Digest(string text, int digits) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..digits];
}
