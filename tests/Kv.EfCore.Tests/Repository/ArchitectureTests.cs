using System.Reflection;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Kv.Tests.Repository;

/// <summary>Which assembly knows which, and where statements stand.</summary>
public sealed class ArchitectureTests
{
    private static readonly string[] Statements = ["select ", "insert into ", "update ", "delete from ", "create table ", "pragma "];

    [Theory]
    [InlineData("Kv.EfCore", new string[0])]
    [InlineData("Kv.Hosting", new[] { "Kv.EfCore" })]
    [InlineData(
        "Kv.Testing", new[] { "Kv.EfCore", "Kv.Hosting", "Microsoft.EntityFrameworkCore.Sqlite", "Npgsql.EntityFrameworkCore.PostgreSQL" })]
    [InlineData("Kv.EfCore.Sqlite", new[] { "Kv.EfCore", "Microsoft.EntityFrameworkCore.Sqlite" })]
    [InlineData("Kv.EfCore.PostgreSql", new[] { "Kv.EfCore", "Npgsql.EntityFrameworkCore.PostgreSQL" })]
    public void An_assembly_references_those_below_it(string assembly, string[] below)
    {
        var referenced = Assembly.Load(assembly).GetReferencedAssemblies().Select(static a => a.Name!).ToList();

        Assert.Equal(below.Order(StringComparer.Ordinal), referenced.Where(IsOursOrProvider).Order(StringComparer.Ordinal));
        Assert.Equal(
            assembly is "Kv.Hosting" or "Kv.Testing",
            referenced.Exists(static name => name.StartsWith("Microsoft.Extensions.Hosting", StringComparison.Ordinal)));

        static bool IsOursOrProvider(string name) =>
            name.StartsWith("Kv.", StringComparison.Ordinal)
            || name is "Microsoft.EntityFrameworkCore.Sqlite" or "Npgsql.EntityFrameworkCore.PostgreSQL";
    }

    [Theory]
    [InlineData("Microsoft.Data.Sqlite")]
    [InlineData("Npgsql")]
    [InlineData("SQLitePCL")]
    public void The_engine_knows_no_driver(string driver) => Assert.DoesNotContain(
        Assembly.Load("Kv.EfCore").GetReferencedAssemblies(), name => name.Name!.StartsWith(driver, StringComparison.Ordinal));

    /// <summary>
    /// Statements stand in the folders for SQL; what is asked of pragmas, sessions and Deno's files stands with what asks.
    /// </summary>
    [Fact]
    public void Statements_stand_in_one_class()
    {
        var files = Repo.Sources("src").Concat(Repo.Sources("migrations")).Where(
            static file => !file.Contains("/Migrations/", StringComparison.Ordinal));

        var found = files.Where(static file => CSharpSyntaxTree.ParseText(File.ReadAllText(Repo.PathOf(file))).GetRoot().DescendantNodes().Any(IsStatement)).ToList();

        Assert.Equal(
            [
                "migrations/Kv.EfCore.PostgreSql/Connections/PostgreSqlDriver.cs",
                "migrations/Kv.EfCore.PostgreSql/Sql/ClaimSql.cs",
                "migrations/Kv.EfCore.PostgreSql/Sql/PlaceSql.cs",
                "migrations/Kv.EfCore.PostgreSql/Sql/PlainSql.cs",
                "migrations/Kv.EfCore.PostgreSql/Sql/PostgreSqlFeedSql.cs",
                "migrations/Kv.EfCore.PostgreSql/Sql/PostgreSqlMaintenanceSql.cs",
                "migrations/Kv.EfCore.PostgreSql/Sql/PostgreSqlSql.cs",
                "migrations/Kv.EfCore.PostgreSql/Sql/ServerSql.cs",
                "migrations/Kv.EfCore.Sqlite/Connections/BusyWait.cs",
                "migrations/Kv.EfCore.Sqlite/Connections/ConnectionSettings.cs",
                "migrations/Kv.EfCore.Sqlite/Schema/DenoFile.cs",
                "migrations/Kv.EfCore.Sqlite/Schema/MovedMessages.cs",
                "migrations/Kv.EfCore.Sqlite/Sql/SqliteFeedSql.cs",
                "migrations/Kv.EfCore.Sqlite/Sql/SqliteMaintenanceSql.cs",
                "migrations/Kv.EfCore.Sqlite/Sql/SqliteSql.cs",
                "src/Kv.EfCore/Sql/FeedSql.cs",
                "src/Kv.EfCore/Sql/KvSql.cs",
                "src/Kv.EfCore/Sql/SqlParts.cs",
                "src/Kv.Testing/Databases/PostgreSqlDatabases.cs",
            ],
            found.Order(StringComparer.Ordinal));

        static bool IsStatement(Microsoft.CodeAnalysis.SyntaxNode node) => node switch
        {
            LiteralExpressionSyntax literal => IsSql(literal.Token.ValueText),
            InterpolatedStringTextSyntax text => IsSql(text.TextToken.ValueText),
            _ => false,
        };

        static bool IsSql(string text) => Array.Exists(Statements, statement =>
            text.TrimStart().StartsWith(statement, StringComparison.OrdinalIgnoreCase) || text.Contains(
                '\n' + statement, StringComparison.OrdinalIgnoreCase));
    }
}
