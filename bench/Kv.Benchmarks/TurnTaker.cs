using System.Diagnostics;

namespace Kv.Benchmarks;

/// <summary>A process that measures one question in turns with others, seen from outside.</summary>
public sealed class TurnTaker(Process process) : IDisposable
{
    private bool _ended;

    public Process Process => process;

    /// <summary>Waits until it may be given a turn.</summary>
    public Task WarmUpAsync() => ReadToAsync(Load.Ready);

    /// <summary>Gives it a turn. One that has ended before its time takes none.</summary>
    public async Task TakeAsync()
    {
        if (!_ended)
        {
            await process.StandardInput.WriteLineAsync("go");
            await process.StandardInput.FlushAsync();
            await ReadToAsync(Load.Ready);
        }
    }

    /// <returns>What it measured in all its turns; null if it ended before its time.</returns>
    public async Task<Measurement?> EndAsync()
    {
        if (!_ended)
        {
            process.StandardInput.Close();
        }

        return await ReadToAsync(null) is { } line ? Measurement.TryParse(line) : null;
    }

    public void Dispose()
    {
        if (!process.HasExited)
        {
            process.Kill(entireProcessTree: true);
        }

        process.Dispose();
    }

    /// <returns>The last line, or the one that was waited for.</returns>
    private async Task<string?> ReadToAsync(string? wanted)
    {
        string? last = null;
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            last = line;
            if (line == wanted)
            {
                return last;
            }
        }

        _ended = true;
        return last;
    }
}
