using Microsoft.Extensions.Hosting;

namespace Kv.Hosts;

/// <summary>A host in a test ends with the test, and not with a signal to the process.</summary>
internal sealed class NoLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
