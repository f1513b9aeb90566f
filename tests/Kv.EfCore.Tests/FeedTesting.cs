using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests;

/// <summary>What specifications of the change feed do and look at.</summary>
internal static class FeedTesting
{
    /// <summary>A store whose feed is on.</summary>
    public static async Task<KvTestStore> CreateWithFeedAsync(
        this KvDatabase database, Action<KvStoreOptions>? options = null, TimeProvider? time = null, KvChangesOptions? keep = null)
    {
        var test = await database.CreateStoreAsync(time, options);
        await test.Changes().EnableAsync(keep);
        return test;
    }

    public static IKvChanges Changes(this KvTestStore test) => test.Services.GetRequiredService<IKvChanges>();

    /// <summary>The versionstamp of the last commit.</summary>
    public static async Task<KvVersionstamp> NowAsync(this KvTestStore test) => KvVersionstamp.FromVersion(await test.VersionAsync());

    /// <summary>How many changes are kept.</summary>
    public static async Task<int> RecordedAsync(this KvTestStore test)
    {
        await using var context = test.CreateContext();
        return await context.Changes.CountAsync();
    }

    public static async Task<List<KvChangeSet>> TakeAsync(this IAsyncEnumerable<KvChangeSet> changes, int count)
    {
        await using var sequence = changes.GetAsyncEnumerator();
        List<KvChangeSet> sets = [];
        while (sets.Count < count)
        {
            sets.Add(await sequence.NextAsync());
        }

        return sets;
    }

    public static (KvVersionstamp Versionstamp, string Changes) Text(this KvChangeSet set) =>
        (set.Versionstamp, string.Join(", ", set.Changes.Select(static change => change.Text())));

    private static string Text(this KvChange change)
    {
        var key = change.Key.Count == 1 ? $"{change.Key[0]}" : $"({string.Join(", ", change.Key)})";
        return key.Replace("\"", "", StringComparison.Ordinal) + (change.IsDeleted ? "-" : "=");
    }

    /// <summary>The first element of what cannot be followed.</summary>
    public static Task FirstAsync(this IAsyncEnumerable<KvChangeSet> changes) => changes.GetAsyncEnumerator().NextAsync();
}
