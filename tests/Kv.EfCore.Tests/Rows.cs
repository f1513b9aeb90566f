using Kv.TestKit;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests;

/// <summary>What tests do behind the store's back.</summary>
internal static class Rows
{
    /// <summary>How long a test waits for a signal that comes at once unless something hangs.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static async Task InsertAsync(this KvTestStore test, ReadOnlyMemory<byte> key, byte[] value, int encoding, long version = 1, long expiresAt = -1)
    {
        await test.ExecuteAsync(
            "insert into kv (k, v, v_encoding, version, expiration_ms) values ({0}, {1}, {2}, {3}, {4})",
            key.ToArray(), value, encoding, version, expiresAt);
    }

    public static async Task<int> CountRowsAsync(this KvTestStore test)
    {
        await using var context = test.CreateContext();
        return await context.Entries.CountAsync();
    }

    public static async Task<long> VersionAsync(this KvTestStore test)
    {
        await using var context = test.CreateContext();
        return await context.Versions.Where(static v => v.Key == 0).Select(static v => v.Version).SingleAsync();
    }

    public static async Task<KvKey[]> KeysAsync(this KvTestStore test) =>
        await test.Store.ListKeysAsync(KvRange.Prefix([])).ToArrayAsync();

    /// <summary>Waits for what comes by itself, and fails if it does not.</summary>
    public static async Task UntilAsync(Func<bool> condition)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (!condition())
        {
            Assert.True(TimeProvider.System.GetElapsedTime(started) < Patience, "It did not come.");
            await Task.Yield();
        }
    }

    /// <summary>The next element of a sequence that tells of changes.</summary>
    public static async Task<T> NextAsync<T>(this IAsyncEnumerator<T> sequence)
    {
        Assert.True(await sequence.MoveNextAsync().AsTask().WaitAsync(Patience, TimeProvider.System), "The sequence ended.");
        return sequence.Current;
    }
}
