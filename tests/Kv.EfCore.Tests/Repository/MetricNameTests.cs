using System.Reflection;
using System.Text.RegularExpressions;

namespace Kv.Tests.Repository;

/// <summary>What the dashboard and the alerts ask for is measured, and what is measured is on the page.</summary>
public sealed partial class MetricNameTests
{
    private static readonly string[] Labels =
        ["efkv_store", "efkv_queue_state", "messaging_destination_name", "db_client_connection_state"];

    private static IEnumerable<string> Names =>
        typeof(KvMetrics).GetFields(BindingFlags.Public | BindingFlags.Static).Select(static f => (string)f.GetValue(null)!);

    [Theory]
    [InlineData("docs/grafana/dashboard.json")]
    [InlineData("docs/grafana/alerts.yaml")]
    public void What_is_asked_for_is_measured(string file)
    {
        var known = Names.Select(static name => name.Replace('.', '_')).ToList();

        var asked = Metric().Matches(File.ReadAllText(Repo.PathOf(file))).Select(static m => m.Value)
            .Except(Labels, StringComparer.Ordinal).ToList();

        Assert.NotEmpty(asked);
        Assert.All(asked, name => Assert.True(known.Contains(name) || known.Contains(Suffix().Replace(name, "")), name));
    }

    [Fact]
    public void What_is_measured_is_on_the_page()
    {
        var page = File.ReadAllText(Repo.PathOf("docs/observability.md"));

        Assert.All(Names, name => Assert.Contains($"`{name}`", page, StringComparison.Ordinal));
    }

    // As exporters for Prometheus name them: with unit and kind behind the name.
    [GeneratedRegex("(_seconds)?(_total|_bucket|_count|_sum)?$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Suffix();

    [GeneratedRegex("\\b(efkv|messaging|db_client)(_[a-z]+)+\\b", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Metric();
}
