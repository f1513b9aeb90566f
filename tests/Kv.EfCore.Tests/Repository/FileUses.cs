using System.Reflection;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Kv.Tests.Repository;

/// <summary>Which source file of a package uses which other one, as the compiler understands them: every name that stands in code, and not in comments.</summary>
internal static class FileUses
{
    // What the SDK adds to each file (ImplicitUsings), the worker's included.
    private const string Implicit = """
        global using System; global using System.IO; global using System.Linq; global using System.Collections.Generic;
        global using System.Net.Http; global using System.Threading; global using System.Threading.Tasks;
        """;

    /// <summary>Pairs of files, relative to the project's folder.</summary>
    public static IReadOnlySet<(string From, string To)> Of(string package)
    {
        var folder = Repo.Packages[package] + "/";
        var options = new CSharpParseOptions(LanguageVersion.Preview);
        List<SyntaxTree> trees = [CSharpSyntaxTree.ParseText(Implicit, options, path: "")];
        trees.AddRange(Repo.Sources(folder).Select(file => CSharpSyntaxTree.ParseText(File.ReadAllText(Repo.PathOf(file)), options, file[folder.Length..])));
        var compilation = CSharpCompilation.Create(package, trees, References(package), new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary, allowUnsafe: true));
        HashSet<(string From, string To)> uses = [];
        foreach (var tree in trees)
        {
            var model = compilation.GetSemanticModel(tree);
            foreach (var name in tree.GetRoot().DescendantNodes(static node => node is not UsingDirectiveSyntax).OfType<SimpleNameSyntax>())
            {
                foreach (var file in Declaring(model.GetSymbolInfo(name)))
                {
                    if (file != tree.FilePath)
                    {
                        uses.Add((tree.FilePath, file));
                    }
                }
            }
        }

        return uses;
    }

    // A class in several files uses none of its own; of others one cannot tell which part is meant, so it is all of them.
    private static IEnumerable<string> Declaring(SymbolInfo info)
    {
        var symbol = info.Symbol ?? info.CandidateSymbols.FirstOrDefault();
        var type = symbol as INamedTypeSymbol ?? (symbol as IMethodSymbol)?.ReducedFrom?.ContainingType ?? symbol?.ContainingType;
        return type?.OriginalDefinition.Locations.Where(static l => l.IsInSource).Select(static l => l.SourceTree!.FilePath) ?? [];
    }

    private static IEnumerable<MetadataReference> References(string package) =>
        ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Concat(Directory.EnumerateFiles(Path.GetDirectoryName(typeof(FileUses).Assembly.Location)!, "*.dll"))
            .DistinctBy(Path.GetFileName)
            .Where(file => Path.GetFileNameWithoutExtension(file) != package && IsManaged(file))
            .Select(static file => MetadataReference.CreateFromFile(file));

    private static bool IsManaged(string file)
    {
        try
        {
            return AssemblyName.GetAssemblyName(file) is not null;
        }
        catch (BadImageFormatException)
        {
            return false;
        }
    }
}
