using System.Globalization;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Kv.Benchmarks.Systems;

/// <summary>
/// What one would write by hand: a transaction, SaveChanges, and a row for a table of messages that has the store's columns and keys.
/// </summary>
/// <param name="target">Where.</param>
public sealed class PlainEfOutbox(Target target) : OutboxSystem(target)
{
    private const string Insert =
        "insert into queue (ts, id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding, enqueued_at) "
        + "values ({0}, {1}, {2}, '[]', '[]', {3}, {3}, 4, {0})";

    protected override void Configure(HostApplicationBuilder builder) => builder.Services.AddDbContextPool<OutboxContext>(Use, PoolSize);

    protected override async Task MigrateAsync()
    {
        await using var services = new ServiceCollection().AddKvStore(Target.Configure).BuildServiceProvider();
        await services.MigrateKvStoreAsync();
    }

    protected override async Task SaveAsync(IServiceProvider services, OutboxContext context, long number)
    {
        await using var transaction = await context.Database.BeginTransactionAsync();
        context.Add(new Invoice { Cents = number });
        await context.SaveChangesAsync();
        await context.Database.ExecuteSqlRawAsync(
            Insert,
            TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds(),
            Guid.CreateVersion7().ToString(),
            System.Text.Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"Number\":{number}}}")),
            BenchMessage.Name);
        await transaction.CommitAsync();
    }
}
