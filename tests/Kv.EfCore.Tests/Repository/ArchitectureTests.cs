using System.Reflection;
using System.Reflection.PortableExecutable;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Kv.Tests.Repository;

/// <summary>Who may know whom.</summary>
public sealed class ArchitectureTests
{
    private static readonly string[] Statements = ["select ", "insert into ", "update ", "delete from ", "create table ", "pragma "];

    [Theory]
    [InlineData("Kv.EfCore", new string[0])]
    [InlineData("Kv.Hosting", new[] { "Kv.EfCore" })]
    [InlineData("Kv.EfCore.Sqlite", new[] { "Kv.EfCore", "Microsoft.EntityFrameworkCore.Sqlite" })]
    [InlineData("Kv.EfCore.PostgreSql", new[] { "Kv.EfCore", "Npgsql.EntityFrameworkCore.PostgreSQL" })]
    public void An_assembly_references_those_below_it(string assembly, string[] below)
    {
        var referenced = Assembly.Load(assembly).GetReferencedAssemblies().Select(static a => a.Name!).ToList();

        Assert.Equal(below.Order(StringComparer.Ordinal), referenced.Where(IsOursOrProvider).Order(StringComparer.Ordinal));
        Assert.Equal(assembly == "Kv.Hosting", referenced.Exists(static name => name.StartsWith("Microsoft.Extensions.Hosting", StringComparison.Ordinal)));

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

    [Fact]
    public void The_codec_knows_neither_engine_nor_model_nor_EF_Core() =>
        Assert.DoesNotContain(Uses("Kv.Codec"), static use => Is(use, "Kv.Engine") || Is(use, "Kv.Model") || Is(use, "Microsoft.EntityFrameworkCore"));

    [Fact]
    public void The_model_knows_neither_engine_nor_codec() =>
        Assert.DoesNotContain(Uses("Kv.Model"), static use => Is(use, "Kv.Engine") || Is(use, "Kv.Codec"));

    [Fact]
    public void The_engine_knows_nothing_of_what_stands_on_it() => Assert.DoesNotContain(Uses("Kv.Engine"), static use =>
        use is "Kv.KvStore" or "Kv.KvAtomic" or "Kv.AtomicWriteBuilder" or "Kv.KvTransaction" or "Kv.KvContextOptions"
        || Is(use, "Microsoft.Extensions.DependencyInjection"));

    [Fact]
    public void Uses_are_found_at_all()
    {
        Assert.Contains("KeyCodec", Uses("Kv"));
        Assert.Contains("Kv.Engine.KvEngine", Uses("Kv"));
        Assert.Contains("Microsoft.EntityFrameworkCore.DbContext", Uses("Kv.Engine"));
    }

    /// <summary>All statements stand in KvSql; what only SQLite says, of its pragmas and of Deno's files, stands in its package.</summary>
    [Fact]
    public void Statements_stand_in_one_class()
    {
        var files = Repo.Sources("src").Concat(Repo.Sources("migrations")).Where(static file => !file.Contains("/Migrations/", StringComparison.Ordinal));

        var found = files.Where(static file => CSharpSyntaxTree.ParseText(File.ReadAllText(Repo.PathOf(file))).GetRoot().DescendantNodes().Any(IsStatement)).ToList();

        Assert.Equal(
            [
                "migrations/Kv.EfCore.PostgreSql/PostgreSqlDriver.cs",
                "migrations/Kv.EfCore.Sqlite/DenoFile.cs",
                "migrations/Kv.EfCore.Sqlite/SqliteDriver.cs",
                "src/Kv.EfCore/Engine/KvSql.Arrays.cs",
                "src/Kv.EfCore/Engine/KvSql.Claims.cs",
                "src/Kv.EfCore/Engine/KvSql.Identity.cs",
                "src/Kv.EfCore/Engine/KvSql.Messages.cs",
                "src/Kv.EfCore/Engine/KvSql.Rows.cs",
                "src/Kv.EfCore/Engine/KvSql.Views.cs",
                "src/Kv.EfCore/Engine/KvSql.cs",
            ],
            found.Order(StringComparer.Ordinal));

        static bool IsStatement(Microsoft.CodeAnalysis.SyntaxNode node) => node switch
        {
            LiteralExpressionSyntax literal => IsSql(literal.Token.ValueText),
            InterpolatedStringTextSyntax text => IsSql(text.TextToken.ValueText),
            _ => false,
        };

        static bool IsSql(string text) => Array.Exists(Statements, statement =>
            text.TrimStart().StartsWith(statement, StringComparison.OrdinalIgnoreCase) || text.Contains('\n' + statement, StringComparison.OrdinalIgnoreCase));
    }

    private static bool Is(string type, string part) => type.StartsWith(part + ".", StringComparison.Ordinal);

    /// <summary>The full names of all types that the code of a namespace of Kv.EfCore names in signatures, fields, bases and bodies.</summary>
    private static HashSet<string> Uses(string part)
    {
        using var file = new PEReader(File.OpenRead(Assembly.Load("Kv.EfCore").Location));
        return new TypeUses(file).Of(part);
    }
}
