using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace Kv.TestKit;

/// <summary>
/// The Deno runtime, and Node with <c>@deno/kv</c>, of the versions in <c>tests/deno/package.json</c>: installed with npm by the first test
/// that needs them. Without npm such tests are skipped, and under CI=true they fail, unless EFKV_TEST_DENO is "none": CI has then said
/// that this machine cannot have them.
/// </summary>
public sealed class DenoPrograms : IAsyncLifetime
{
    private static readonly string Folder = Find();
    private static readonly Lazy<Task<string?>> Installed = new(static () => Task.Run(Install));
    private string? _missing;

    private static string Deno =>
        Path.Combine(Folder, "node_modules", "@deno", Platform, OperatingSystem.IsWindows() ? "deno.exe" : "deno");

    private static bool IsThere => File.Exists(Deno) && Directory.Exists(Path.Combine(Folder, "node_modules", "@deno", "kv"));

    private static bool IsRefused => Environment.GetEnvironmentVariable("EFKV_TEST_DENO") == "none";

    private static string Platform => (OperatingSystem.IsWindows(), OperatingSystem.IsMacOS(), RuntimeInformation.OSArchitecture) switch
    {
        (true, _, _) => "win32-x64",
        (_, true, Architecture.Arm64) => "darwin-arm64",
        (_, true, _) => "darwin-x64",
        (_, _, Architecture.Arm64) => "linux-arm64-glibc",
        _ => "linux-x64-glibc",
    };

    public async ValueTask InitializeAsync() => _missing = await Installed.Value;

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>Runs a command of <c>shared.mjs</c> over a file, and gives what it says.</summary>
    public async Task<JsonElement> RunAsync(bool inNode, string path, params string[] command)
    {
        using var running = Start(inNode, path, command);
        return await running.EndAsync();
    }

    /// <summary>Starts a command.</summary>
    public DenoProgram Start(bool inNode, string path, params string[] command)
    {
        if (_missing is not null)
        {
            Assert.SkipUnless(Environment.GetEnvironmentVariable("CI") == "true" && !IsRefused, _missing);
            Assert.Fail(_missing);
        }

        string[] arguments = inNode
            ? ["shared.mjs", path, .. command]
            : ["run", "-A", "--unstable-kv", "--no-prompt", "--node-modules-dir=none", "shared.mjs", path, .. command];
        return new DenoProgram(Process.Start(new ProcessStartInfo(inNode ? "node" : Deno, arguments)
        {
            WorkingDirectory = Folder,
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["NO_COLOR"] = "1", ["DENO_NO_UPDATE_CHECK"] = "1" },
        })!);
    }

    private static string Find()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "EfKv.sln")))
        {
            folder = folder.Parent;
        }

        var root = folder?.FullName ?? throw new InvalidOperationException("The tests run outside of the repository.");
        return Path.Combine(root, "tests", "deno");
    }

    // Test processes run side by side, and would install into each other's files. A mutex is its thread's, so nothing is awaited here.
    private static string? Install()
    {
        if (IsRefused)
        {
            return "EFKV_TEST_DENO is none.";
        }

        using var alone = new Mutex(initiallyOwned: false, "efkv-tests-deno");
        try
        {
            alone.WaitOne();
        }
        catch (AbandonedMutexException)
        {
            // A process that was killed while it installed. It is this one's then.
        }

        try
        {
            return IsThere ? null : RunNpm();
        }
        finally
        {
            alone.ReleaseMutex();
        }
    }

    private static string? RunNpm()
    {
        var npm = OperatingSystem.IsWindows() ? "npm.cmd" : "npm";
        try
        {
            using var install = Process.Start(
                new ProcessStartInfo(npm, ["install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel", "error"])
                {
                    WorkingDirectory = Folder,
                    UseShellExecute = false,
                    RedirectStandardError = true,
                })!;
            var error = install.StandardError.ReadToEnd();
            install.WaitForExit();
            return install.ExitCode == 0 && IsThere ? null : $"npm could not install Deno into tests/deno: {error}";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "Deno is not there, and neither is npm to install it: install Node 20 or later (https://nodejs.org).";
        }
    }
}
