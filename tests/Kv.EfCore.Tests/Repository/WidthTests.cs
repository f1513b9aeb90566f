namespace Kv.Tests.Repository;

/// <summary>
/// Code is read in two columns, and a file at a sitting. The files that were wider when the rule came are listed, and leave the list one by
/// one.
/// </summary>
public sealed class WidthTests
{
    private const int Widest = 140;
    private const int Longest = 350;
    private const string List = "eng/wide-lines.txt";
    private static readonly string[] Folders = ["src", "migrations", "tests", "samples", "bench", "templates"];
    private static readonly string[] Generated = ["/Migrations/", "/CompiledModel/"];

    [Fact]
    public async Task A_line_of_code_is_at_most_140_wide_except_in_files_that_are_listed()
    {
        var listed = (await File.ReadAllLinesAsync(Repo.PathOf(List))).Where(static line => line.Length > 0 && line[0] != '#').ToList();
        var wide = Written()
            .Where(static file => File.ReadLines(Repo.PathOf(file)).Any(static line => line.Length > Widest)).ToList();

        List<string> faults =
        [
            .. wide.Except(listed, StringComparer.Ordinal).Select(static file => $"{file} has a line of more than {Widest} characters."),
            .. listed.Except(wide, StringComparer.Ordinal).Select(static file => $"{file} has none, or is gone: take it off {List}."),
        ];

        Assert.True(faults.Count == 0, string.Join('\n', faults));
    }

    [Fact]
    public void A_file_has_at_most_350_lines() => Assert.DoesNotContain(
        Written(), static file => File.ReadLines(Repo.PathOf(file)).Count() > Longest);

    private static IEnumerable<string> Written() => Folders.Where(static folder => Directory.Exists(Repo.PathOf(folder)))
        .SelectMany(Repo.Sources)
        .Where(static file => !Array.Exists(Generated, part => file.Contains(part, StringComparison.Ordinal)));
}
