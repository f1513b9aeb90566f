using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Chaos;

/// <summary>
/// Commits so many random changes of the keys <c>["c", 0]</c> to <c>["c", 499]</c> as it is told, by several callers: sets, deletions, both
/// together, ranges, entries that expire. It says <c>DONE</c> then.
/// </summary>
internal sealed class ChangerVerb(IKvStore store, long commits)
{
    private const int Keys = 500;
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(20);
    private long _left = commits;

    public static async Task<int> RunAsync(string[] arguments)
    {
        var commits = arguments is [var text] && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw new UsageException("Say how many commits there are to be: changer 1000.");
        _ = Task.Run(ChildVerb.EndWithDriver);
        var services = new ServiceCollection();
        services.AddLogging(static logging => logging.AddProvider(new LineLogging()));
        services.AddKvStore(Settings.Database());
        await using var provider = services.BuildServiceProvider();
        var verb = new ChangerVerb(provider.GetRequiredService<IKvStore>(), commits);
        await Task.WhenAll(Enumerable.Range(0, Settings.Callers).Select(_ => Task.Run(verb.WorkAsync)));
        Console.WriteLine("DONE");
        return 0;
    }

    private async Task WorkAsync()
    {
        while (Interlocked.Decrement(ref _left) is >= 0 and var value)
        {
            var key = Random.Shared.Next(Keys);
            await (Random.Shared.Next(100) switch
            {
                < 60 => store.SetAsync(["c", key], value).AsTask(),
                < 75 => store.Atomic().Set(["c", key], value).Set(["c", (key + 7) % Keys], value).Delete(["c", (key + 11) % Keys])
                    .CommitAsync().AsTask(),
                < 90 => store.DeleteAsync(["c", key]).AsTask(),
                < 94 => store.SetAsync(["c", key], value, Soon).AsTask(),
                < 97 => store.TouchAsync(["c", key], expireIn: null).AsTask(),
                < 98 => store.DeleteRangeAsync(KvRange.Between(["c", key], ["c", key + 5])).AsTask(),
                _ => (Task)store.Atomic().DeleteRange(KvRange.Between(["c", key], ["c", key + 3])).Set(["c", key], value)
                    .CommitAsync().AsTask(),
            });
        }
    }
}
