using DotNetCore.CAP;
using DotNetCore.CAP.Messages;
using DotNetCore.CAP.Transport;
using Kv.Benchmarks.Systems;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Kv.OutboxPeers;

/// <summary>CAP with its tables on PostgreSQL and a transaction of its own around EF Core's. What it sends goes nowhere.</summary>
/// <param name="target">Where.</param>
public sealed class CapOutbox(Target target) : OutboxSystem(target)
{
    protected override void Configure(HostApplicationBuilder builder)
    {
        builder.Services.AddDbContextPool<OutboxContext>(Use, PoolSize);
        builder.Services.AddCap(options =>
        {
            options.UsePostgreSql($"{Target.ConnectionString};Maximum Pool Size={PoolSize}");
            options.RegisterExtension(new NowhereExtension());
        });
    }

    protected override async Task SaveAsync(IServiceProvider services, OutboxContext context, long number)
    {
        var publisher = services.GetRequiredService<ICapPublisher>();
        await using var transaction = await context.Database.BeginTransactionAsync(publisher, autoCommit: false);
        context.Add(new Invoice { Cents = number });
        await context.SaveChangesAsync();
        await publisher.PublishAsync("outbox", new CapMessage(number));
        await transaction.CommitAsync();
    }

    private sealed record CapMessage(long Number);

    /// <summary>A transport that takes everything at once: how soon a broker answers is not what is measured.</summary>
    private sealed class NowhereExtension : ICapOptionsExtension
    {
        public void AddServices(IServiceCollection services)
        {
            services.AddSingleton(new CapMessageQueueMakerService("nowhere"));
            services.AddSingleton<ITransport, Nowhere>();
            services.AddSingleton<IConsumerClientFactory, NoConsumers>();
        }
    }

    private sealed class Nowhere : ITransport
    {
        public BrokerAddress BrokerAddress { get; } = new("nowhere", "localhost");

        public Task<OperateResult> SendAsync(TransportMessage message) => Task.FromResult(OperateResult.Success);
    }

    private sealed class NoConsumers : IConsumerClientFactory
    {
        public Task<IConsumerClient> CreateAsync(string groupName, byte groupConcurrent) =>
            throw new NotSupportedException("Nothing is subscribed to.");
    }
}
