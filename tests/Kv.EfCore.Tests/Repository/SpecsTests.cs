using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Kv.Tests.Repository;

/// <summary>A behaviour is written once and holds on both databases; what holds on one only stands elsewhere.</summary>
public sealed class SpecsTests
{
    private const string Sqlite = "SqliteDatabase";
    private static readonly string[] Postgres = ["PostgresDatabase", "PrivatePostgresDatabase", "PostgresPair"];

    /// <summary>The test projects that have specifications.</summary>
    public static TheoryData<string> Projects =>
    [
        .. Directory.GetDirectories(Repo.PathOf("tests")).Where(static project => Directory.Exists(Path.Combine(project, "Specs")))
            .Select(static project => Path.GetFileName(project)),
    ];

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_specification_runs_once_on_each_database_and_nothing_else_stands_beside_it(string project)
    {
        var types = Types($"tests/{project}").ToList();
        var specs = types.Where(static type => type.Folder == "Specs" && IsSpec(type.Declaration)).ToList();
        var runs = types.Where(type => type.Folder == "Specs" && specs.Exists(spec => IsRunOf(type.Declaration, spec.Name))).ToList();

        List<string> faults =
        [
            .. specs.Where(spec => runs.Count(run => IsRunOf(run.Declaration, spec.Name) && run.Fixtures.Contains(Sqlite)) != 1)
                .Select(static spec => $"{spec.File}: {spec.Name} has not exactly one sealed class for SQLite in Specs/."),
            .. specs.Where(spec => runs.Count(run => IsRunOf(run.Declaration, spec.Name) && run.Fixtures.Overlaps(Postgres)) != 1)
                .Select(static spec => $"{spec.File}: {spec.Name} has not exactly one sealed class for PostgreSQL in Specs/."),
            .. types.Where(static type => type.Folder == "Specs").Except(specs).Except(runs)
                .Select(static type => $"{type.File}: {type.Name} is neither an abstract specification nor a sealed class that runs one."),
            .. types.Where(static type => type.Folder != "Specs")
                .Where(type => IsSpec(type.Declaration) || specs.Exists(spec => IsRunOf(type.Declaration, spec.Name)))
                .Select(static type => $"{type.File}: {type.Name} belongs into Specs/."),
        ];

        Assert.NotEmpty(specs);
        Assert.True(faults.Count == 0, string.Join('\n', faults));
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_test_stands_in_the_folder_of_the_database_that_it_needs(string project)
    {
        var tests = Types($"tests/{project}")
            .Where(static type => type.Declaration.Members.OfType<MethodDeclarationSyntax>().Any(IsTest)).ToList();

        var misplaced = tests.Where(static type => !Folders(type.Fixtures).Contains(type.Folder, StringComparer.Ordinal))
            .Select(static type => $"{type.File}: {type.Name} belongs into {string.Join(" or ", Folders(type.Fixtures))}.").ToList();

        Assert.NotEmpty(tests);
        Assert.True(misplaced.Count == 0, string.Join('\n', misplaced));

        static string[] Folders(HashSet<string> fixtures) =>
            fixtures.Contains(Sqlite) ? ["Sqlite", "Specs"]
            : fixtures.Overlaps(Postgres) ? ["PostgreSql", "Specs"]
            : ["Units", "Sqlite", "Specs", "Repository"];
    }

    private static IEnumerable<TestType> Types(string project) =>
        from file in Repo.Sources(project)
        let parts = Path.GetRelativePath(project, file).Replace('\\', '/').Split('/')
        from declaration in CSharpSyntaxTree.ParseText(File.ReadAllText(Repo.PathOf(file))).GetCompilationUnitRoot().Members
            .SelectMany(static member => member is BaseNamespaceDeclarationSyntax space ? space.Members : [member])
            .OfType<TypeDeclarationSyntax>()
        select new TestType(file, parts.Length > 1 ? parts[0] : "", declaration);

    private static bool IsSpec(TypeDeclarationSyntax type) =>
        type.Modifiers.Any(SyntaxKind.AbstractKeyword) && type.Identifier.ValueText.EndsWith("Spec", StringComparison.Ordinal);

    private static bool IsRunOf(TypeDeclarationSyntax type, string spec) =>
        type.Modifiers.Any(SyntaxKind.SealedKeyword)
        && Bases(type).Any(known => known is IdentifierNameSyntax name && name.Identifier.ValueText == spec);

    private static bool IsTest(MethodDeclarationSyntax method) =>
        method.AttributeLists.SelectMany(static list => list.Attributes)
            .Any(static attribute => attribute.Name.ToString() is "Fact" or "Theory");

    private static IEnumerable<TypeSyntax> Bases(TypeDeclarationSyntax type) =>
        type.BaseList?.Types.Select(static known => known.Type) ?? [];

    private sealed record TestType(string File, string Folder, TypeDeclarationSyntax Declaration)
    {
        public string Name => Declaration.Identifier.ValueText;

        /// <summary>The databases that the class names as fixtures.</summary>
        public HashSet<string> Fixtures { get; } =
        [
            .. Bases(Declaration).OfType<GenericNameSyntax>().Where(static known => known.Identifier.ValueText == "IClassFixture")
                .Select(static known => known.TypeArgumentList.Arguments[0].ToString()),
        ];
    }
}
