using System.Diagnostics;
using System.Text.Json;

namespace Kv.TestKit;

/// <summary>A command of a Deno or Node program that runs.</summary>
public sealed class DenoProgram(Process process) : IDisposable
{
    /// <summary>Waits for its end, and gives what it says.</summary>
    public async Task<JsonElement> EndAsync()
    {
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"{string.Join(' ', process.StartInfo.ArgumentList)}: {await error}");
        return JsonDocument.Parse(output).RootElement;
    }

    public void Dispose() => process.Dispose();
}
