using System.Globalization;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Chaos;

/// <summary>
/// Follows the keys below <c>["c"]</c>, and notes each set of changes in a line of its own: the versionstamp, then each key with its value
/// as it is read now, or a minus. One that was killed goes on after its last line.
/// </summary>
internal static class FollowerVerb
{
    public static async Task<int> RunAsync()
    {
        _ = Task.Run(ChildVerb.EndWithDriver);
        var services = new ServiceCollection();
        services.AddLogging(static logging => logging.AddProvider(new LineLogging()));
        services.AddKvStore(Settings.Database());
        await using var provider = services.BuildServiceProvider();
        var store = provider.GetRequiredService<IKvStore>();
        var path = Settings.Required("EFKV_ACK", "the path of the file that gets a line for each set of changes");
        var after = KvVersionstamp.Parse(
            (File.Exists(path) ? File.ReadLines(path).LastOrDefault()?.Split('\t')[0] : null)
            ?? Settings.Required("EFKV_AFTER", "the versionstamp to begin after"));
        using var sink = new Sink(path);
        await foreach (var set in store.ChangesAsync(after, KvRange.Prefix(["c"])))
        {
            if (set.Changes.Count == 0)
            {
                // Only how far it is.
                continue;
            }

            var line = new StringBuilder($"{set.Versionstamp}");
            foreach (var change in set.Changes)
            {
                var value = change.IsDeleted ? null : await store.GetAsync<long?>(change.Key);
                line.Append(CultureInfo.InvariantCulture, $"\t{change.Key[1].AsInt64()}{(change.IsDeleted ? "-" : $"={value}")}");
            }

            sink.Write(Encoding.ASCII.GetBytes($"{line}\n"));
        }

        return 0;
    }
}
