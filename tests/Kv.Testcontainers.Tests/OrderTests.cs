using Kv;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Shop.Tests;

public sealed class OrderTests(PostgresFixture postgres)
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_migrated_store_in_a_container_keeps_what_is_set()
    {
        var database = postgres.NewDatabase();
        var written = new OrderPlaced(42, "ada", 1999);
        using (var host = await PostgresFixture.StartAsync(database))
        {
            await host.Services.GetRequiredService<IKvStore>().SetAsync(["orders", 42L], written, cancellationToken: Token);
        }

        using var another = await PostgresFixture.StartAsync(database);
        var read = await another.Services.GetRequiredService<IKvStore>().GetAsync<OrderPlaced>(["orders", 42L], Token);
        Assert.Equal(written, read);
        Assert.Empty(await another.Services.MigrateKvStoreAsync(cancellationToken: Token));
    }

    [Fact]
    public async Task A_message_of_one_application_is_handled_by_the_worker_of_another_in_a_container()
    {
        var database = postgres.NewDatabase();
        using var handling = await PostgresFixture.StartAsync(database, static worker => worker.Handle<OrderPlaced>(
            static async (order, context, token) =>
                await context.CompleteAsync(write => write.Sum(["totals", order.Customer], order.Cents), token)));
        using var placing = await PostgresFixture.StartAsync(database);
        var kv = placing.Services.GetRequiredService<IKvStore>();

        await kv.EnqueueAsync(new OrderPlaced(42, "ada", 1999), cancellationToken: Token);

        await foreach (var totals in kv.WatchAsync([["totals", "ada"]], cancellationToken: Token))
        {
            if (totals[0] is { } total)
            {
                Assert.Equal(1999UL, total.As<ulong>());
                break;
            }
        }

        await handling.StopAsync(Token);
    }

    [KvMessage("order-placed")]
    internal sealed record OrderPlaced(long Id, string Customer, ulong Cents);
}
