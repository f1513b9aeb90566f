using System.Text;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Kv.Chaos;

/// <summary>
/// Units of work without an end: each commits an entity, a message of the same name and a counter together, by a save or by a transaction
/// of its own in turn. A worker of the process may handle the messages meanwhile. At a step of a unit that it is told, the process kills
/// itself.
/// </summary>
internal sealed class UnitsVerb(IServiceProvider services, Suicide suicide, Sink acknowledged)
{
    /// <summary>The topic of the messages.</summary>
    public const string Topic = "unit";

    public static async Task<int> RunAsync()
    {
        _ = Task.Run(ChildVerb.EndWithDriver);
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Logging.AddProvider(new LineLogging());
        var suicide = new Suicide(Settings.Step());
        var database = Settings.Database();
        builder.Services.AddDbContextPool<UnitContext>(options =>
        {
            database(options);
            options.AddInterceptors(suicide.Before).UseKv().AddInterceptors(suicide.After);
        });
        builder.Services.AddKvStore<UnitContext>();
        if (Settings.Handles)
        {
            builder.Services.AddKvWorker().HandleTopic(Topic, static (context, token) => context.CompleteAsync(
                write => write.Set(["handled", JsonSerializer.Deserialize<string>(context.Payload.Bytes.Span)!], true), token).AsTask());
        }

        using var acknowledged = new Sink(Settings.Required("EFKV_ACK", "the path of the file that gets a line for each answered unit"));
        using var host = builder.Build();
        await host.StartAsync();
        var verb = new UnitsVerb(host.Services, suicide, acknowledged);
        Console.WriteLine("READY");
        await Task.WhenAll(Enumerable.Range(0, Settings.Callers).Select(_ => Task.Run(verb.WorkAsync)));
        return 0;
    }

    private async Task WorkAsync()
    {
        while (true)
        {
            var number = suicide.BeginUnit();
            var name = $"{Guid.CreateVersion7()}";
            await using var scope = services.CreateAsyncScope();
            var db = scope.ServiceProvider.GetRequiredService<UnitContext>();
            await using var transaction = number % 2 == 0 ? await db.Database.BeginTransactionAsync() : null;
            db.Units.Add(new Unit { Name = name });
            db.Kv().Enqueue(name, new() { Topic = Topic }).Sum(["units"], 1);
            await db.SaveChangesAsync();
            if (transaction is not null)
            {
                await transaction.CommitAsync();
            }

            acknowledged.Write(Encoding.ASCII.GetBytes($"{name}\n"));
        }
    }
}

/// <summary>The context of the units, whose table the test makes.</summary>
internal sealed class UnitContext(DbContextOptions<UnitContext> options) : DbContext(options)
{
    public DbSet<Unit> Units => Set<Unit>();

    protected override void OnModelCreating(ModelBuilder modelBuilder) => modelBuilder.Entity<Unit>(unit =>
    {
        unit.ToTable("unit");
        unit.HasKey(u => u.Name);
        unit.Property(u => u.Name).HasColumnName("name");
    });
}

internal sealed class Unit
{
    public required string Name { get; init; }
}
