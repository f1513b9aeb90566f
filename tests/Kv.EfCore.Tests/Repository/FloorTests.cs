namespace Kv.Tests.Repository;

/// <summary>A folder is a concept, and uses only the folders below it.</summary>
public sealed class FloorTests
{
    public static TheoryData<string> Packages => [.. Floors.Of.Keys];

    [Fact]
    public void Every_package_has_its_floors() => Assert.Equal(Repo.Packages.Keys.Order(StringComparer.Ordinal), Floors.Of.Keys.Order(StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Packages))]
    public void Every_folder_stands_on_a_floor(string package)
    {
        var folders = Repo.Sources(Repo.Packages[package]).Select(file => FolderOf(file[(Repo.Packages[package].Length + 1)..])).Distinct(StringComparer.Ordinal);

        Assert.Equal(folders.Order(StringComparer.Ordinal), Floors.Of[package].Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Packages))]
    public void A_folder_uses_only_those_below_it(string package)
    {
        var floors = Floors.Of[package];

        var upward = FileUses.Of(package).Where(use => Array.IndexOf(floors, FolderOf(use.From)) > Array.IndexOf(floors, FolderOf(use.To)));

        Assert.Empty(upward.Select(static use => $"{use.From} uses {use.To}").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Uses_are_found_at_all()
    {
        var uses = FileUses.Of("Kv.EfCore");

        // A type, a member of one, an extension method, a constant.
        Assert.Contains(("Store/KvStore.cs", "Engine/KvEngine.cs"), uses);
        Assert.Contains(("Reads/StoreReader.cs", "Sql/KvSql.cs"), uses);
        Assert.Contains(("Connections/Opening.cs", "Connections/AbandonedTask.cs"), uses);
        Assert.Contains(("Store/Listing.cs", "KvLimits.cs"), uses);
    }

    /// <summary>The page of the architecture shows the same floors in the same order.</summary>
    [Fact]
    public void The_architecture_page_shows_the_floors_of_the_store()
    {
        var lines = File.ReadAllLines(Repo.PathOf("docs/architecture.md"));

        var shown = lines.Select(static line => line.Split(' ', 2)[0]).Where(static word => word.EndsWith('/')).Select(static word => word.TrimEnd('/')).ToList();

        Assert.Equal(Floors.Of["Kv.EfCore"].Select(static floor => floor.Length == 0 ? "(root)" : floor), shown.Take(Floors.Of["Kv.EfCore"].Length));
    }

    private static string FolderOf(string file) => file.Contains('/', StringComparison.Ordinal) ? file[..file.IndexOf('/', StringComparison.Ordinal)] : "";
}
