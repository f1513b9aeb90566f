using System.Text.RegularExpressions;

namespace Kv.Tests.Repository;

public sealed partial class GuaranteesTests
{
    [Fact]
    public async Task Every_test_that_a_guarantee_names_exists()
    {
        var page = await File.ReadAllTextAsync(Repo.PathOf("docs/guarantees.md"));
        var sources = string.Concat(Directory.GetFiles(Repo.PathOf("tests"), "*.cs", SearchOption.AllDirectories).Select(File.ReadAllText));

        var named = TestName().Matches(page).Select(static m => m.Groups[1].Value).Distinct().ToList();

        Assert.True(named.Count > 30, $"Only {named.Count} names were found on the page.");
        Assert.All(named, name => Assert.Contains($" {name}(", sources, StringComparison.Ordinal));
    }

    [GeneratedRegex("`([A-Z][a-z]*(?:_[A-Za-z0-9]+){2,})`")]
    private static partial Regex TestName();
}
