using Microsoft.Extensions.Hosting;

namespace Kv.Hosts;

/// <summary>Stops with the host the workers that were started after another was killed.</summary>
/// <param name="rig">What drives them.</param>
internal sealed class Successors(TestRig rig) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => rig.StopSuccessorsAsync(cancellationToken);
}
