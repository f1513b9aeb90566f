using Kv;
using Kv.Diagnostics;
using Kv.Hosts;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts stores and workers into the hands of a test.</summary>
public static class KvTestingServiceCollectionExtensions
{
    /// <summary>
    /// Has a test run what the stores and workers of these services do by themselves otherwise, by a clock that the test moves:
    /// <see cref="KvTestHost.For"/>.
    /// </summary>
    /// <remarks>
    /// The clock takes the place of the <see cref="TimeProvider"/> that is registered, for all that takes it by injection. Call it behind
    /// the registrations of the application: in <c>ConfigureTestServices</c> of a <c>WebApplicationFactory</c>. The workers of these
    /// services start with the host, and take no message until the test says so.
    /// </remarks>
    /// <param name="services">The services.</param>
    /// <param name="options">Changes how the test drives them.</param>
    /// <returns>The same services.</returns>
    /// <exception cref="ArgumentException">An option cannot work.</exception>
    public static IServiceCollection AddKvTesting(this IServiceCollection services, Action<KvTestOptions>? options = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        var chosen = new KvTestOptions();
        options?.Invoke(chosen);
        chosen.Validate();
        var rig = new TestRig(chosen);
        services.RemoveAll<TestRig>();
        services.RemoveAll<FailPoints>();
        services.AddSingleton(rig);
        services.AddHostedService<Successors>();
        TestLogs.Add(services, chosen, rig.Clock);
        services.Replace(ServiceDescriptor.Singleton<TimeProvider>(rig.Clock));
        return services.AddSingleton(new FailPoints { IsStepped = true, Faults = chosen.Faults.Source, Random = chosen.Random });
    }
}
