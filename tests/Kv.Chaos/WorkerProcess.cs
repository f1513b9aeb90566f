using System.Diagnostics;
using System.Globalization;

namespace Kv.Chaos;

/// <summary>A place for a worker, and the process that has it now. Each life has a name of its own.</summary>
internal sealed class WorkerProcess(int place, ChaosDatabase database, ChaosOptions options, string folder) : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);
    private Process? _process;
    private int _life;

    public string Name { get; private set; } = "";

    public long MemoryAfterStart { get; private set; }

    /// <summary>Lives that ended although nobody ended them.</summary>
    public List<string> Died { get; } = [];

    /// <summary>Begins a life.</summary>
    public void Start()
    {
        Name = string.Create(CultureInfo.InvariantCulture, $"w{place}.{++_life}");
        var start = new ProcessStartInfo(Environment.ProcessPath!, [typeof(WorkerProcess).Assembly.Location, "child"])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        var environment = start.Environment;
        environment["EFKV_PROVIDER"] = database.Provider;
        environment["EFKV_CONNECTION"] = database.ForWorkers;
        environment["EFKV_NAME"] = Name;
        environment["EFKV_SINK"] = $"file:{Path.Combine(folder, "sink")}";
        environment["EFKV_LEASE_MS"] = options.Lease.TotalMilliseconds.ToString(CultureInfo.InvariantCulture);
        environment["EFKV_SWEEP_MS"] = "500";
        environment["EFKV_POLL_MS"] = "200";
        environment["EFKV_CONCURRENCY"] = "32";
        environment["EFKV_WORK_MS"] = "0,2";
        _process = Process.Start(Hosted(start))!;
        var log = Path.Combine(folder, Name + ".log");
        _process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is not null)
            {
                File.AppendAllText(log, line.Data + "\n");
            }
        };
        _process.BeginErrorReadLine();
        Ready = ReadyAsync(_process);
    }

    /// <summary>Done when the worker takes messages, or was killed before.</summary>
    public Task Ready { get; private set; } = Task.CompletedTask;

    /// <summary>kill -9, and at once another life.</summary>
    public async Task KillAsync()
    {
        NoteDeath();
        _process!.Kill();
        await _process.WaitForExitAsync();
        await Ready;
        _process.Dispose();
        Start();
    }

    private async Task ReadyAsync(Process process)
    {
        if (await process.StandardOutput.ReadLineAsync() is not null)
        {
            MemoryAfterStart = Memory();
        }
    }

    public void Signal(string signal) => Process.Start("kill", [signal, _process!.Id.ToString(CultureInfo.InvariantCulture)])!.WaitForExit();

    /// <summary>Resident memory, in bytes.</summary>
    public long Memory()
    {
        _process!.Refresh();
        return _process.HasExited ? 0 : _process.WorkingSet64;
    }

    /// <summary>SIGTERM.</summary>
    /// <returns>The exit code.</returns>
    public async Task<int> StopAsync()
    {
        await Ready.WaitAsync(Patience, TimeProvider.System).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        NoteDeath();
        Signal("-TERM");
        await _process!.WaitForExitAsync();
        return _process.ExitCode;
    }

    private void NoteDeath()
    {
        if (_process!.HasExited)
        {
            Died.Add(string.Create(CultureInfo.InvariantCulture, $"{Name} with exit code {_process.ExitCode}"));
        }
    }

    public ValueTask DisposeAsync()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill();
        }

        _process?.Dispose();
        return ValueTask.CompletedTask;
    }

    // Run by an executable of its own or by dotnet: the second takes the program as its first argument.
    private static ProcessStartInfo Hosted(ProcessStartInfo start)
    {
        if (!Path.GetFileNameWithoutExtension(start.FileName).Equals("dotnet", StringComparison.OrdinalIgnoreCase))
        {
            start.ArgumentList.RemoveAt(0);
        }

        return start;
    }
}
