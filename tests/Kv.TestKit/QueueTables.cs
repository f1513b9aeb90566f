using Kv.Looking;
using Kv.Model;
using Kv.Store;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.TestKit;

/// <summary>A message for tests that need one.</summary>
[KvMessage("job")]
public sealed record Job(int Number);

/// <summary>What tests ask the queue and its tables.</summary>
public static class QueueTables
{
    public static IKvQueue Queue(this KvTestStore test) => test.Services.GetRequiredService<IKvQueue>();

    public static async Task<List<KvDeadLetter>> DeadLettersAsync(this KvTestStore test) =>
        await test.Queue().ListDeadLettersAsync().ToListAsync();

    public static async Task ExecuteAsync(this KvTestStore test, string sql, params object[] values)
    {
        await using var context = test.CreateContext();
        await context.Database.ExecuteSqlRawAsync(test.Database.Named(sql), values);
    }

    public static async Task<List<QueuedMessage>> QueuedAsync(this KvTestStore test)
    {
        await using var context = test.CreateContext();
        return await context.Set<QueuedMessage>().AsNoTracking().OrderBy(m => m.DueAt).ThenBy(m => m.Id).ToListAsync();
    }

    public static async Task<List<RunningMessage>> RunningAsync(this KvTestStore test)
    {
        await using var context = test.CreateContext();
        return await context.Set<RunningMessage>().AsNoTracking().OrderBy(m => m.Id).ToListAsync();
    }

    /// <summary>Nothing waits, nothing runs; a failure lists what is there.</summary>
    public static void AssertQueueEmpty(this KvTestStore test) =>
        new QueueAssertions(test.Services.GetRequiredService<KvStore>()).Empty();

    public static long Milliseconds(this TimeProvider time) => time.GetUtcNow().ToUnixTimeMilliseconds();
}
