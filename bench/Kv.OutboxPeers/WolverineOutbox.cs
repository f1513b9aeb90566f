using JasperFx;
using Kv.Benchmarks.Systems;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Wolverine;
using Wolverine.EntityFrameworkCore;
using Wolverine.Postgresql;
using Wolverine.Sqlite;

namespace Kv.OutboxPeers;

/// <summary>
/// Wolverine with its outbox for EF Core: its envelopes are mapped into the context, so that they go out with the entities in one batch.
/// The message is for a durable queue of the same process, whose handler does nothing.
/// </summary>
/// <param name="target">Where.</param>
public sealed class WolverineOutbox(Target target) : OutboxSystem(target)
{
    protected override void Configure(HostApplicationBuilder builder)
    {
        builder.Services.AddScoped<OutboxContext>(static services => services.GetRequiredService<MappedContext>());
        builder.Services.AddDbContextPool<MappedContext>(Use, PoolSize);
        builder.UseWolverine(options =>
        {
            if (Target.IsSqlite)
            {
                options.PersistMessagesWithSqlite(Target.ConnectionString);
            }
            else
            {
                options.PersistMessagesWithPostgresql($"{Target.ConnectionString};Maximum Pool Size={PoolSize}", "wolverine");
            }

            options.UseEntityFrameworkCoreTransactions();
            options.Durability.Mode = DurabilityMode.Solo;
            options.AutoBuildMessageStorageOnStartup = AutoCreate.CreateOrUpdate;
            options.Discovery.DisableConventionalDiscovery().IncludeType(typeof(OutboxMessageHandler));
            options.PublishMessage<OutboxMessage>().ToLocalQueue("outbox").UseDurableInbox();
        });
    }

    protected override async Task SaveAsync(IServiceProvider services, OutboxContext context, long number)
    {
        var outbox = services.GetRequiredService<IDbContextOutbox>();
        outbox.Enroll(context);
        context.Add(new Invoice { Cents = number });
        await outbox.PublishAsync(new OutboxMessage(number));
        await outbox.SaveChangesAndFlushMessagesAsync();
    }

    /// <summary>The context with Wolverine's tables.</summary>
    private sealed class MappedContext(DbContextOptions<MappedContext> options) : OutboxContext(options)
    {
        protected override void OnModelCreating(ModelBuilder modelBuilder)
        {
            base.OnModelCreating(modelBuilder);
            if (Database.IsNpgsql())
            {
                modelBuilder.MapWolverineEnvelopeStorage("wolverine");
            }
            else
            {
                modelBuilder.MapWolverineEnvelopeStorage();
            }
        }
    }
}

public sealed record OutboxMessage(long Number);

public static class OutboxMessageHandler
{
    public static void Handle(OutboxMessage message) => ArgumentNullException.ThrowIfNull(message);
}
