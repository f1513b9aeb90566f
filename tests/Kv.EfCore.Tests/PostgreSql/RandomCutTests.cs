using System.Collections.Concurrent;
using Kv.TestKit;

namespace Kv.Tests.PostgreSql;

/// <summary>An increment that was acknowledged once counts once, however often the network breaks.</summary>
public sealed class RandomCutTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    private const int Cuts = 100;
    private const int Writers = 16;
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(3);

    [Fact]
    public async Task Acknowledged_increments_count_once_and_unknown_ones_resolve_exactly()
    {
        await using var link = await FaultyLink.OpenAsync(database);
        await link.Test.Store.Atomic().Sum(["sum"], 0).CommitAsync();
        var acknowledged = 0;
        var unknown = new ConcurrentBag<KvOperationId>();
        var progress = new SemaphoreSlim(0);
        using var stop = new CancellationTokenSource();

        var writers = Enumerable.Range(0, Writers).Select(_ => Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                try
                {
                    await link.Test.Store.Atomic().Sum(["sum"], 1).Enqueue("one").CommitAsync();
                    Interlocked.Increment(ref acknowledged);
                }
                catch (KvCommitUnknownException error)
                {
                    unknown.Add(error.OperationId);
                }

                progress.Release();
            }
        })).ToArray();
        for (var cut = 0; cut < Cuts; cut++)
        {
            // Each cut falls somewhere into a later commit than the one before.
            for (var i = 0; i < Random.Shared.Next(1, 3 * Writers); i++)
            {
                await progress.WaitAsync().WaitAsync(Hang);
            }

            if (cut % 10 == 9)
            {
                await link.EndBackendsAsync();
            }
            else if (cut % 2 == 0)
            {
                link.Proxy.CutAtNextReply();
            }
            else
            {
                link.Proxy.Cut();
            }
        }

        await stop.CancelAsync();
        await Task.WhenAll(writers).WaitAsync(Hang);
        link.Proxy.Heal();

        var landed = 0;
        foreach (var id in unknown)
        {
            landed += await link.Test.Store.ResolveAsync(id) is null ? 0 : 1;
        }

        Assert.True(acknowledged > Cuts, $"Only {acknowledged} were acknowledged.");
        Assert.Equal(acknowledged + landed, (int)await link.Test.Store.GetAsync<ulong>(["sum"]));
        await using var context = link.Test.CreateContext();
        Assert.Equal(acknowledged + landed, context.QueuedMessages.Count());
    }
}
