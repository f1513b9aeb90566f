using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Threading.Channels;
using Kv.TestKit;

namespace Kv.Tests;

/// <summary>The program of tests/Kv.Chaos as a test from outside has it: an environment, its output, signals.</summary>
public sealed class ChaosProcess : IDisposable
{
    // Only a hang can reach it.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly CancellationTokenSource _patience = new(Patience);
    private readonly Process _process;
    private readonly StringBuilder _errors = new();

    // Something came of the process, or it ended.
    private readonly Channel<bool> _news = Channel.CreateUnbounded<bool>();

    private ChaosProcess(Process process)
    {
        _process = process;
        process.ErrorDataReceived += (_, line) =>
        {
            lock (_errors)
            {
                _errors.Append(line.Data).Append('\n');
            }

            Signal();
        };
        process.Exited += (_, _) => Signal();
        process.EnableRaisingEvents = true;
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

    /// <summary>Waits until something is so of a file that it writes.</summary>
    public async Task WrittenAsync(string file, Func<bool> condition)
    {
        using var watcher = new FileSystemWatcher(Path.GetDirectoryName(file)!, Path.GetFileName(file));
        watcher.Created += (_, _) => Signal();
        watcher.Changed += (_, _) => Signal();

        // More changes than are kept are changes, too.
        watcher.Error += (_, _) => Signal();
        watcher.EnableRaisingEvents = true;
        await UntilAsync(condition);
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

    private void Signal() => _news.Writer.TryWrite(true);

    private async Task UntilAsync(Func<bool> condition)
    {
        while (!condition())
        {
            Assert.False(_process.HasExited, "The program ended before what was waited for.");
            await _news.Reader.ReadAsync(_patience.Token);
        }
    }

    private void Signal(string signal) =>
        Process.Start("kill", [signal, _process.Id.ToString(CultureInfo.InvariantCulture)])!.WaitForExit();
}
