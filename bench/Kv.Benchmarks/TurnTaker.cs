using System.Diagnostics;

namespace Kv.Benchmarks;

/// <summary>A process that measures one question in turns with others, seen from outside.</summary>
public sealed class TurnTaker(Process process) : IDisposable
{
    private Measurement? _measured;
    private bool _ended;

    public Process Process => process;

    /// <summary>Waits until it may be given a turn.</summary>
    public Task WarmUpAsync() => ReadToAsync(Load.Ready);

    /// <summary>Gives it a turn. One that has ended before its time takes none.</summary>
    public async Task TakeAsync()
    {
        if (_ended)
        {
            return;
        }

        try
        {
            await process.StandardInput.WriteLineAsync("go");
            await process.StandardInput.FlushAsync();
            await ReadToAsync(Load.Ready);
        }
        catch (IOException)
        {
            // It ended while it waited.
            _ended = true;
        }
    }

    /// <returns>What it measured in all its turns; null if it ended before its time.</returns>
    public async Task<Measurement?> EndAsync()
    {
        if (!_ended)
        {
            process.StandardInput.Close();
        }

        await ReadToAsync(null);
        return _measured;
    }

    public void Dispose()
    {
        if (!process.HasExited)
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
        }

        process.Dispose();
    }

    private async Task ReadToAsync(string? wanted)
    {
        while (await process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line == wanted)
            {
                return;
            }

            _measured = Measurement.TryParse(line) ?? _measured;
        }

        _ended = true;
    }
}
