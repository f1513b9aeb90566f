using Kv.Store;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Kv.Tests.Units;

public sealed class StoreOptionsTests
{
    [Fact]
    public async Task A_host_with_impossible_options_does_not_start_and_says_what_would_work()
    {
        foreach (var (change, message) in ((Action<KvStoreOptions>, string)[])[
            (static o => o.MaxValueSize = 7, "KvStoreOptions.MaxValueSize is 7; it must be at least 8. Raise it, or leave it out for the default."),
            (static o => o.MaxMessageSize = 0, "KvStoreOptions.MaxMessageSize is 0; it must be at least 1."),
            (static o => o.MaxChecks = 0, "KvStoreOptions.MaxChecks is 0; it must be at least 1."),
            (static o => o.MaxMutations = -1, "KvStoreOptions.MaxMutations is -1; it must be at least 1."),
            (static o => (o.MaxTotalSize, o.MaxMessageSize) = (1_048_575, 1), "KvStoreOptions.MaxTotalSize is 1048575 and MaxValueSize is 1048576, but a write must be able to hold one value. Set MaxTotalSize to 1048576 at least, or MaxValueSize to 1048575 at most; or leave MaxTotalSize out, and it follows."),
            (static o => (o.MaxTotalSize, o.MaxMessageSize) = (2_000_000, 2_000_001), "KvStoreOptions.MaxTotalSize is 2000000 and MaxMessageSize is 2000001,"),
            (static o => o.MaxTotalKeySize = 2047, "KvStoreOptions.MaxTotalKeySize is 2047; it must be at least 2048 (the largest key)."),
            (static o => o.MaxReadRanges = 0, "KvStoreOptions.MaxReadRanges is 0;"),
            (static o => o.MaxReadEntries = 0, "KvStoreOptions.MaxReadEntries is 0;"),
            (static o => o.MaxPendingWrites = 0, "KvStoreOptions.MaxPendingWrites is 0;"),
            (static o => o.CommandTimeout = TimeSpan.Zero, "KvStoreOptions.CommandTimeout is 00:00:00; it must be more than zero and at most a day."),
            (static o => o.WatchInterval = TimeSpan.FromDays(1.5), "KvStoreOptions.WatchInterval is 1.12:00:00;"),
            (static o => o.SweepInterval = TimeSpan.FromSeconds(-1), "KvStoreOptions.SweepInterval is -00:00:01;"),
            (static o => o.ReplicaConnectionString = " ", "KvStoreOptions.ReplicaConnectionString is empty; say where the replica is, or leave it out."),
            (static o => o.Durability = (KvDurability)9, "KvStoreOptions.Durability is 9; use Full or Relaxed.")])
        {
            using var host = Build(services => services.AddKvStore(static db => db.UseSqlite("Data Source=never-opened.db"), change));

            var error = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());

            Assert.StartsWith(message, Assert.Single(error.Failures), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_replica_is_refused_where_there_is_none_and_one_that_cannot_be_read_is_named()
    {
        foreach (var (database, address, message) in ((Action<DbContextOptionsBuilder>, string, string)[])[
            (static db => db.UseSqlite("Data Source=never-opened.db"), "Data Source=replica.db", "KvStoreOptions.ReplicaConnectionString is set, but the store's database (sqlite) has no replicas. Leave it out:"),
            (static db => db.UseNpgsql("Host=never-opened"), "Hots=replica", "KvStoreOptions.ReplicaConnectionString is no connection string of Npgsql: ")])
        {
            using var host = Build(services => services.AddKvStore(database, options => options.ReplicaConnectionString = address));

            var error = Assert.Throws<OptionsValidationException>(() => host.Services.GetRequiredService<IKvStore>());

            Assert.StartsWith(message, Assert.Single(error.Failures), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Raising_a_limit_raises_what_it_implies()
    {
        var options = new KvStoreOptions();
        Assert.Equal((10 << 20, 1 << 20), (options.MaxTotalSize, options.MaxTotalKeySize));

        (options.MaxMessageSize, options.MaxMutations) = (50_000_000, 100_000);
        Assert.Equal((50_008_192, 10_000_000), (options.MaxTotalSize, options.MaxTotalKeySize));
        options.MaxValueSize = options.MaxMutations = int.MaxValue;
        Assert.Equal((int.MaxValue, int.MaxValue), (options.MaxTotalSize, options.MaxTotalKeySize));

        KvLimits.Deno(options);
        Assert.Equal((819_200, 81_920), (options.MaxTotalSize, options.MaxTotalKeySize));
    }

    [Fact]
    public async Task All_that_is_wrong_is_said_at_once_also_of_a_named_store()
    {
        using var host = Build(static services => services.AddKvStore("other", static (_, db) => db.UseSqlite("Data Source=never-opened.db"), static o => (o.MaxChecks, o.MaxReadRanges) = (0, 0)));

        var error = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());

        Assert.Equal("other", error.OptionsName);
        Assert.Equal(2, error.Failures.Count());
    }

    [Fact]
    public async Task Options_come_from_configuration_and_the_call_has_the_last_word()
    {
        using var host = Build(
            services => services.AddKvStore(static db => db.UseSqlite("Data Source=never-opened.db"), static o => o.MaxChecks = 7),
            ("Kv:MaxChecks", "5"), ("Kv:MaxValueSize", "100000"), ("Kv:Durability", "Relaxed"), ("Kv:WatchInterval", "00:00:00.250"));
        await host.StartAsync();

        var options = host.Services.GetRequiredService<KvStore>().Engine.Options;

        Assert.Equal((7, 100_000, KvDurability.Relaxed), (options.MaxChecks, options.MaxValueSize, options.Durability));
        Assert.Equal(TimeSpan.FromMilliseconds(250), options.WatchInterval);
        await host.StopAsync();
    }

    [Fact]
    public async Task What_configuration_gets_wrong_stops_the_host_too()
    {
        using var host = Build(static services => services.AddKvStore(static db => db.UseSqlite("Data Source=never-opened.db")), ("Kv:CommandTimeout", "00:00:00"));

        await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
    }

    private static IHost Build(Action<IServiceCollection> add, params (string Key, string Value)[] settings)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new());
        builder.Configuration.AddInMemoryCollection(settings.Select(static s => KeyValuePair.Create(s.Key, (string?)s.Value)));
        builder.Services.Configure<KvStoreOptions>(builder.Configuration.GetSection("Kv"));
        add(builder.Services);
        return builder.Build();
    }
}
