using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Kv.Benchmarks.Systems;

/// <summary>What <c>db.Kv()</c> collects, committed by SaveChanges.</summary>
/// <param name="target">Where.</param>
/// <param name="handles">Whether a worker of the same process handles the messages meanwhile.</param>
public sealed class EfKvOutbox(Target target, bool handles) : OutboxSystem(target)
{
    protected override void Configure(HostApplicationBuilder builder)
    {
        builder.Services.AddDbContextPool<OutboxContext>(
            options =>
            {
                Use(options);
                options.UseKv();
            },
            PoolSize);
        builder.Services.AddKvStore<OutboxContext>();
        if (handles)
        {
            builder.Services.AddKvWorker().Handle<BenchMessage>(static (_, _, _) => Task.CompletedTask);
        }
    }

    protected override Task MigrateAsync() => Services.MigrateKvStoreAsync();

    protected override Task SaveAsync(IServiceProvider services, OutboxContext context, long number)
    {
        context.Add(new Invoice { Cents = number });
        context.Kv().Enqueue(new BenchMessage(number));
        return context.SaveChangesAsync();
    }
}
