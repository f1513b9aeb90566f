using System.Diagnostics;

namespace Kv.Tests;

/// <summary>The sample as its user has it: a process, of which only the output is seen.</summary>
public sealed class SampleProcess : IDisposable
{
    // Only a hang can reach it.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    private readonly CancellationTokenSource _patience = new(Patience);
    private readonly List<string> _output = [];
    private readonly Process _process;
    private readonly Task<string> _errors;

    private SampleProcess(Process process) => (_process, _errors) = (process, process.StandardError.ReadToEndAsync(_patience.Token));

    public static SampleProcess Start(params IEnumerable<string> arguments) => new(Process.Start(
        new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "WorkerApp.dll"), .. arguments])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!);

    public async Task WriteInputAsync(string text)
    {
        await _process.StandardInput.WriteAsync(text.AsMemory(), _patience.Token);
        _process.StandardInput.Close();
    }

    /// <summary>Reads the output up to a line that is waited for.</summary>
    /// <returns>False if the process ended without it.</returns>
    public async Task<bool> SawAsync(Func<string, bool> line)
    {
        try
        {
            while (await _process.StandardOutput.ReadLineAsync(_patience.Token) is { } text)
            {
                _output.Add(text);
                if (line(text))
                {
                    return true;
                }
            }

            return false;
        }
        catch (OperationCanceledException hang) when (_patience.IsCancellationRequested)
        {
            throw new TimeoutException($"The sample said nothing that was waited for in {Patience}. Its last lines:\n{string.Join('\n', _output.TakeLast(20))}", hang);
        }
    }

    /// <summary>Ends the process as a power cut would: SIGKILL.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync(_patience.Token);
    }

    /// <summary>Waits until the process ends by itself.</summary>
    public async Task<(int ExitCode, string Output, string Errors)> EndAsync()
    {
        await SawAsync(static _ => false);
        await _process.WaitForExitAsync(_patience.Token);
        return (_process.ExitCode, string.Join('\n', _output), await _errors);
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
}
