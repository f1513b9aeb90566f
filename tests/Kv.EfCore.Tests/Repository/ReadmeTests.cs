using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Kv.Tests.Repository;

/// <summary>A reader copies code from the pages, so it must compile.</summary>
public sealed partial class ReadmeTests
{
    /// <summary>What a new worker or web project brings by itself.</summary>
    private const string ImplicitUsings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Net.Http;
        global using System.Threading;
        global using System.Threading.Tasks;
        global using Microsoft.AspNetCore.Builder;
        global using Microsoft.AspNetCore.Hosting;
        global using Microsoft.AspNetCore.Http;
        global using Microsoft.AspNetCore.Routing;
        global using Microsoft.Extensions.Configuration;
        global using Microsoft.Extensions.DependencyInjection;
        global using Microsoft.Extensions.Hosting;
        global using Microsoft.Extensions.Logging;
        """;

    /// <summary>All pages that show programs, so that none is forgotten.</summary>
    public static TheoryData<string> Pages =>
    [
        .. Directory.EnumerateFiles(Repo.PathOf("docs"), "*.md").Prepend(Repo.PathOf("README.md"))
            .Where(static page => Code().IsMatch(File.ReadAllText(page))).Select(static page => Path.GetRelativePath(Repo.Root, page)),
    ];

    public static TheoryData<string> AllPages =>
    [
        .. Directory.EnumerateFiles(Repo.PathOf("docs"), "*.md").Prepend(Repo.PathOf("README.md"))
            .Select(static page => Path.GetRelativePath(Repo.Root, page)),
    ];

    [Fact]
    public void Pages_with_programs_are_found() =>
        Assert.Contains(Pages, static page => page.Data.EndsWith("store.md", StringComparison.Ordinal));

    [Theory]
    [MemberData(nameof(Pages))]
    public async Task Every_program_on_a_page_compiles(string page)
    {
        var text = await File.ReadAllTextAsync(Repo.PathOf(page));
        var programs = Code().Matches(text).Select(static match => match.Groups["code"].Value).ToList();

        Assert.NotEmpty(programs);
        Assert.All(programs, static program =>
        {
            var problems = Problems(program);
            Assert.True(problems.Count == 0, $"{program}\n{string.Join('\n', problems)}");
        });
    }

    /// <summary>
    /// A part of a program is compiled with the usings and types of the first program of the page, and what the comment above it gives.
    /// </summary>
    [Theory]
    [MemberData(nameof(Pages))]
    public async Task Every_part_of_a_program_on_a_page_compiles(string page)
    {
        var text = await File.ReadAllTextAsync(Repo.PathOf(page));

        Assert.All(Part().Matches(text), part =>
        {
            var program = Code().Match(text).Groups["code"].Value;
            var problems = Problems(Whole(part, program));
            Assert.True(problems.Count == 0, $"{part.Value}\n{string.Join('\n', problems)}");
        });
    }

    /// <summary>Blocks of C# that nothing compiles are of other libraries (cs), and have nothing of this one.</summary>
    [Theory]
    [MemberData(nameof(AllPages))]
    public async Task No_code_with_the_store_stands_in_a_block_that_is_not_compiled(string page)
    {
        var text = await File.ReadAllTextAsync(Repo.PathOf(page));
        var compiled = Code().Matches(text).Concat(Part().Matches(text)).Select(static match => match.Groups["code"].Index).ToHashSet();

        var others = Block().Matches(text).Where(block => !compiled.Contains(block.Groups["code"].Index));

        Assert.All(others, static block =>
        {
            var info = block.Groups["info"].Value;
            Assert.False(info.StartsWith("csharp", StringComparison.Ordinal), block.Value);
            Assert.True(info is "" or "sh" or "json" or "xml" or "ts" || !OwnName().IsMatch(block.Groups["code"].Value), block.Value);
        });
    }

    [Fact]
    public void What_does_not_compile_is_told()
    {
        var problem = Assert.Single(Problems("await missing.GetAsync();"));
        Assert.Contains("CS0103", problem, StringComparison.Ordinal);
    }

    /// <summary>The fixture on the page is the one that its tests have.</summary>
    [Fact]
    public async Task The_page_about_containers_shows_the_fixture_that_is_tested()
    {
        var page = await File.ReadAllTextAsync(Repo.PathOf("docs/testcontainers.md"));
        var fixture = await File.ReadAllTextAsync(Repo.PathOf("tests/Kv.Testcontainers.Tests/PostgresFixture.cs"));

        Assert.Equal(fixture, Assert.Single(Code().Matches(page)).Groups["code"].Value, ignoreLineEndingDifferences: true);
    }

    [Fact]
    public void A_part_of_a_program_that_does_not_compile_is_told()
    {
        const string Page = "<!-- given: Thing thing -->\n```csharp part\nawait thing.Known();\nawait thing.Unknown();\n```\n";
        const string Program = "using Kv;\nawait new Thing().Known();\nclass Thing { public Task Known() => Task.CompletedTask; }\n";

        var problem = Assert.Single(Problems(Whole(Part().Match(Page), Program)));

        Assert.Contains("'Unknown'", problem, StringComparison.Ordinal);
    }

    private static string Whole(Match part, string program)
    {
        var options = CSharpParseOptions.Default.WithLanguageVersion(LanguageVersion.Preview);
        var root = CSharpSyntaxTree.ParseText(program, options).GetCompilationUnitRoot();
        var types = root.Members.Where(static member => member is not GlobalStatementSyntax).Select(static member => member.ToFullString());
        return $$"""
            {{root.Usings.ToFullString()}}
            await Task.CompletedTask;
            static class Part
            {
                public static async Task RunAsync({{part.Groups["given"].Value}})
                {
                    {{part.Groups["code"].Value}}
                    await Task.CompletedTask;
                }
            }
            {{string.Concat(types)}}
            """;
    }

    private static List<string> Problems(string program)
    {
        var options = CSharpParseOptions.Default.WithLanguageVersion(LanguageVersion.Preview);
        var tree = CSharpSyntaxTree.ParseText(program, options);
        var kind = tree.GetCompilationUnitRoot().Members.Any(SyntaxKind.GlobalStatement)
            ? OutputKind.ConsoleApplication
            : OutputKind.DynamicallyLinkedLibrary;
        var compilation = CSharpCompilation.Create(
            "Readme",
            [CSharpSyntaxTree.ParseText(ImplicitUsings, options), tree],
            Assemblies().Select(static path => MetadataReference.CreateFromFile(path)),
            new CSharpCompilationOptions(kind, nullableContextOptions: NullableContextOptions.Enable));
        return
        [
            .. compilation.GetDiagnostics()
                .Where(static d => d.Severity >= DiagnosticSeverity.Warning && !IsAboutVersions(d)).Select(static d => d.ToString()),
        ];
    }

    /// <summary>Those of this process, and those of ASP.NET Core, which stand beside the runtime and which no test runs.</summary>
    private static IEnumerable<string> Assemblies()
    {
        var loaded = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator);
        var runtime = Path.GetDirectoryName(typeof(object).Assembly.Location)!;
        var web = Path.GetFullPath(Path.Combine(runtime, "..", "..", "Microsoft.AspNetCore.App", Path.GetFileName(runtime)));
        return loaded.Concat(Directory.GetFiles(web, "*.dll")).DistinctBy(Path.GetFileName, StringComparer.Ordinal);
    }

    // The libraries are compiled against the first version of EF Core 10, and tests run the newest.
    private static bool IsAboutVersions(Diagnostic diagnostic) => diagnostic.Id is "CS1701" or "CS1702" or "CS1705";

    [GeneratedRegex(
        "^```csharp\\r?\\n(?<code>.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Code();

    [GeneratedRegex(
        "^<!-- given: (?<given>.*?) -->\\r?\\n```csharp part\\r?\\n(?<code>.*?)^```",
        RegexOptions.Multiline | RegexOptions.Singleline | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex Part();

    [GeneratedRegex(
        "^```(?<info>[^`\\r\\n]*)\\r?\\n(?<code>.*?)^```",
        RegexOptions.Multiline | RegexOptions.Singleline | RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex Block();

    [GeneratedRegex("\\bI?Kv[A-Z]|AddKv|UseKv|\\.Kv\\(", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex OwnName();
}
