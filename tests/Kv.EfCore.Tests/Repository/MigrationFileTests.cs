using System.Security.Cryptography;

namespace Kv.Tests.Repository;

/// <summary>
/// A migration that may have run somewhere is not edited: a database that had it before would differ from one that has it now.
/// </summary>
public sealed class MigrationFileTests
{
    [Fact]
    public async Task A_migration_is_as_it_was_generated()
    {
        var lines = await File.ReadAllLinesAsync(Repo.PathOf("migrations/released.sha256"));
        var written = Repo.Sources("migrations")
            .Where(static file => file.Contains("/Migrations/", StringComparison.Ordinal))
            .Where(static file => !file.EndsWith("Snapshot.cs", StringComparison.Ordinal))
            .Select(static file => $"{Digest(file)}  {file["migrations/".Length..]}");

        // migrations/add.sh adds the lines of a new one.
        Assert.Equal(lines.Order(StringComparer.Ordinal), written.Order(StringComparer.Ordinal));
    }

    private static string Digest(string file) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Repo.PathOf(file))));
}
