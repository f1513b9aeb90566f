using System.Diagnostics;

namespace Kv.TestKit;

/// <summary>Runs programs to their end.</summary>
internal static class Shell
{
    /// <summary>What the program prints.</summary>
    /// <exception cref="InvalidOperationException">It ended with an error; the message has its output.</exception>
    public static string Run(string program, params string[] arguments)
    {
        // The folder of the tests may be one that the cluster's user cannot enter.
        using var process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            UseShellExecute = false,
            WorkingDirectory = "/",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        process.StandardInput.Close();
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0
            ? output
            : throw new InvalidOperationException(
                $"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}: {output}{errors.GetAwaiter().GetResult()}");
    }
}
