using Testcontainers.PostgreSql;

namespace Kv.TestKit;

/// <summary>PostgreSQL in a container. Compiled only where a Docker engine is (UseTestcontainers).</summary>
internal static class PostgresContainer
{
    /// <summary>Starts a container, which Testcontainers removes after this process.</summary>
    /// <returns>A connection string, or null if the engine does not answer.</returns>
    public static async Task<string?> TryStartAsync()
    {
        try
        {
            var container = new PostgreSqlBuilder("postgres:17-alpine").WithCommand("-c", "max_connections=300").Build();
            await container.StartAsync();
            return container.GetConnectionString();
        }
        catch (DotNet.Testcontainers.Builders.DockerUnavailableException)
        {
            return null;
        }
    }
}
