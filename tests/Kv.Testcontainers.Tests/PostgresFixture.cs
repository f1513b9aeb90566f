using DotNet.Testcontainers.Builders;
using Kv;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Npgsql;
using Testcontainers.PostgreSql;
using Xunit;

[assembly: AssemblyFixture(typeof(Shop.Tests.PostgresFixture))]

namespace Shop.Tests;

/// <summary>One container for all tests of the assembly, in which each test has databases of its own.</summary>
public sealed class PostgresFixture : IAsyncLifetime
{
    private PostgreSqlContainer? _container;
    private string? _missing;

    public async ValueTask InitializeAsync()
    {
        try
        {
            // The image of your production. Testcontainers turns fsync off, which is quicker and right where no server is killed.
            _container = new PostgreSqlBuilder("postgres:17-alpine").Build();
            await _container.StartAsync(TestContext.Current.CancellationToken);
        }
        catch (DockerUnavailableException exception)
        {
            (_container, _missing) = (null, exception.Message);
        }
    }

    /// <summary>The name of a database that is there as soon as a store on it is migrated. Skips the test where no engine is.</summary>
    public string NewDatabase()
    {
        Assert.SkipWhen(_container is null, $"No container engine runs here: {_missing}");
        var database = new NpgsqlConnectionStringBuilder(_container.GetConnectionString()) { Database = $"test_{Guid.NewGuid():N}" };
        return database.ConnectionString;
    }

    /// <summary>An application with a store, and with a worker if it handles anything, started.</summary>
    public static async Task<IHost> StartAsync(string database, Action<KvWorkerBuilder>? handle = null)
    {
        var builder = Host.CreateApplicationBuilder();
        builder.Services.AddKvStore(db => db.UseNpgsql(database));
        if (handle is not null)
        {
            handle(builder.Services.AddKvWorker());
        }

        var host = builder.Build();
        await host.Services.MigrateKvStoreAsync(cancellationToken: TestContext.Current.CancellationToken);
        await host.StartAsync(TestContext.Current.CancellationToken);
        return host;
    }

    public ValueTask DisposeAsync() => _container?.DisposeAsync() ?? ValueTask.CompletedTask;
}
