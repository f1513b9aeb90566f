using Kv.Diagnostics;
using Kv.Engine;
using Kv.Store;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.TestKit;

/// <summary>A store as an application has it, with what tests look at besides.</summary>
public sealed class KvTestStore : IAsyncDisposable
{
    private readonly KvDatabase _database;
    private readonly ServiceProvider _services;

    internal KvTestStore(
        KvDatabase database, ServiceProvider services, string connectionString, KvTestFaults faults, FailPoints failPoints) =>
        (_database, _services, ConnectionString, Faults, FailPoints) = (database, services, connectionString, faults, failPoints);

    public KvDatabase Database => _database;

    public IKvStore Store => _services.GetRequiredService<IKvStore>();

    public IServiceProvider Services => _services;

    public string ConnectionString { get; }

    /// <summary>What the public kit has fail by name.</summary>
    public KvTestFaults Faults { get; }

    /// <summary>The exact places, for a commit that is held, or that something of the test's own happens in.</summary>
    internal FailPoints FailPoints { get; }

    internal KvEngine Engine => _services.GetRequiredService<KvStore>().Engine;

    /// <summary>LINQ over the tables.</summary>
    public KvDbContext CreateContext() => _services.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContext();

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        _database.Release(ConnectionString);
    }
}
