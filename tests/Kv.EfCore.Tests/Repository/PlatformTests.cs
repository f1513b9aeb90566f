using System.Text.RegularExpressions;

namespace Kv.Tests.Repository;

/// <summary>What depends on the operating system is in one folder, so that a port has one place to look at.</summary>
public sealed partial class PlatformTests
{
    private const string Folder = "src/Kv.EfCore/Platform/";

    [Fact]
    public void No_other_folder_asks_which_system_it_is_or_calls_it()
    {
        var faults = Repo.Packages.Values.SelectMany(Repo.Sources)
            .Where(static file => !file.StartsWith(Folder, StringComparison.Ordinal))
            .SelectMany(static file => Traces(file).Select(trace => $"{file}: {trace}"));

        Assert.Empty(faults);
    }

    [Theory]
    [InlineData("FileIdentity.cs")]
    [InlineData("Folders.cs")]
    [InlineData("LoadedLibrary.cs")]
    [InlineData("ProcessIdentity.cs")]
    [InlineData("StopSignals.cs")]
    public void What_is_in_the_folder_is_found(string file) => Assert.NotEmpty(Traces(Folder + file));

    private static IEnumerable<string> Traces(string file) =>
        Trace().Matches(File.ReadAllText(Repo.PathOf(file))).Select(static match => match.Value);

    [GeneratedRegex(
        "OperatingSystem\\.|RuntimeInformation|OSPlatform|\"libc\"|\"kernel32\"|\"/(proc|dev|etc|sys|tmp)/|UnixFileMode|PosixSignal"
        + "|SpecialFolder|FileShare\\.None|\\bGetProcessById|\\bGetCurrentProcess|CancelKeyPress",
        RegexOptions.ExplicitCapture,
        1000)]
    private static partial Regex Trace();
}
