using System.Reflection;

namespace Kv.Tests.Repository;

/// <summary>What is public is a promise: every change of it is a change of a file that is reviewed.</summary>
public sealed class PublicApiTests
{
    private const string Accept = "EFKV_ACCEPT_API";

    public static TheoryData<string> Packages => [.. Repo.Packages.Keys];

    [Theory]
    [MemberData(nameof(Packages))]
    public async Task The_public_surface_is_the_one_in_PublicApi_txt(string package)
    {
        var lines = ApiText.Of(Assembly.Load(package));
        var file = Repo.PathOf($"{Repo.Packages[package]}/PublicApi.txt");
        if (Environment.GetEnvironmentVariable(Accept) == "1")
        {
            await File.WriteAllTextAsync(file, string.Concat(lines.Select(static line => line + "\n")));
        }

        var accepted = File.Exists(file) ? await File.ReadAllLinesAsync(file) : [];

        List<string> differences = [.. accepted.Except(lines, StringComparer.Ordinal).Select(static line => "- " + line), .. lines.Except(accepted, StringComparer.Ordinal).Select(static line => "+ " + line)];
        Assert.True(
            differences.Count == 0,
            $"""
            The public surface of {package} is not the one in {Repo.Packages[package]}/PublicApi.txt:
            {string.Join('\n', differences)}
            If this is wanted, accept it and commit the file:
            {Accept}=1 dotnet test tests/Kv.EfCore.Tests --filter "FullyQualifiedName~{nameof(PublicApiTests)}"
            """);
    }

    [Fact]
    public void Lines_say_what_a_caller_depends_on()
    {
        var lines = ApiText.Of(typeof(KvStoreOptions).Assembly);

        Assert.Contains("const int Kv.KvLimits.MaxValueSize = 65536", lines);
        Assert.Contains(
            "static System.Threading.Tasks.Task<System.Collections.Generic.IReadOnlyList<string>> Kv.KvMigrationExtensions.MigrateKvStoreAsync(this System.IServiceProvider services, string? name = null, System.Threading.CancellationToken cancellationToken = default)",
            lines);
        Assert.DoesNotContain(lines, static line => line.Contains("Kv.Engine", StringComparison.Ordinal));
    }
}
