using System.Diagnostics;
using System.Globalization;
using System.Text;
using Kv.TestKit;

namespace Kv.Tests;

/// <summary>The program of tests/Kv.Chaos as somebody has it who tests the store from outside: an environment, its output, signals.</summary>
public sealed class ChaosProcess : IDisposable
{
    // Only a hang can reach it.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly CancellationTokenSource _patience = new(Patience);
    private readonly Process _process;
    private readonly StringBuilder _errors = new();

    private ChaosProcess(Process process)
    {
        _process = process;
        process.ErrorDataReceived += (_, line) =>
        {
            lock (_errors)
            {
                _errors.Append(line.Data).Append('\n');
            }
        };
        process.BeginErrorReadLine();
    }

    private string Errors
    {
        get
        {
            lock (_errors)
            {
                return _errors.ToString();
            }
        }
    }

    /// <summary>Starts a verb on a database.</summary>
    public static ChaosProcess Start(KvDatabase database, string connectionString, string[] arguments, params ReadOnlySpan<(string Name, string Value)> variables)
    {
        var start = new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "Kv.Chaos.dll"), .. arguments])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["EFKV_PROVIDER"] = database.Name;
        start.Environment["EFKV_CONNECTION"] = connectionString;
        foreach (var (name, value) in variables)
        {
            start.Environment[name] = value;
        }

        return new ChaosProcess(Process.Start(start)!);
    }

    public async Task<string?> ReadLineAsync() => await _process.StandardOutput.ReadLineAsync(_patience.Token);

    /// <summary>Waits until something is so.</summary>
    public async Task UntilAsync(Func<bool> condition)
    {
        while (!condition())
        {
            Assert.False(_process.HasExited, "The program ended before what was waited for.");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, _patience.Token);
        }
    }

    /// <summary>Waits until it has written something to its standard error.</summary>
    public Task SaidAsync(string text) => UntilAsync(() => Errors.Contains(text, StringComparison.Ordinal));

    /// <summary>Asks it to end.</summary>
    public void Terminate() => Signal("-TERM");

    public void Kill() => _process.Kill();

    /// <summary>Waits until the process ends.</summary>
    public async Task<(int ExitCode, string Errors)> EndAsync()
    {
        await _process.WaitForExitAsync(_patience.Token);
        return (_process.ExitCode, Errors);
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        _process.Dispose();
        _patience.Dispose();
    }

    private void Signal(string signal) =>
        Process.Start("kill", [signal, _process.Id.ToString(CultureInfo.InvariantCulture)])!.WaitForExit();
}
