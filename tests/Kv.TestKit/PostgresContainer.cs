using DotNet.Testcontainers.Builders;
using Testcontainers.PostgreSql;

namespace Kv.TestKit;

/// <summary>PostgreSQL in a container, where a Docker engine is.</summary>
internal static class PostgresContainer
{
    /// <summary>Starts a container, which Testcontainers removes after this process.</summary>
    /// <returns>A connection string, or null if the engine does not answer.</returns>
    public static async Task<string?> TryStartAsync()
    {
        try
        {
            // Testcontainers turns durability off, and what survives is what the tests are about. The last of two settings counts.
            var container = new PostgreSqlBuilder("postgres:17-alpine")
                .WithCommand("-c", "fsync=on", "-c", "full_page_writes=on", "-c", "synchronous_commit=on", "-c", "max_connections=300")
                .Build();
            await container.StartAsync();
            return container.GetConnectionString();
        }
        catch (DockerUnavailableException)
        {
            return null;
        }
    }
}
