using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>Connection strings and data sources of several servers, of which the first is a standby.</summary>
public sealed class PostgresHostsTests(PostgresPair pair) : IClassFixture<PostgresPair>
{
    [Fact]
    public async Task A_store_of_several_hosts_migrates_writes_and_reads_on_the_one_that_takes_writes()
    {
        var address = await pair.CreateEmptyAsync();
        await pair.CaughtUpAsync();
        await using var test = await pair.CreateStoreAsync(connectionString: pair.OnBoth(address));
        await test.Services.MigrateKvStoreAsync();
        await pair.CaughtUpAsync();
        await pair.PauseAsync();

        for (var i = 1; i <= 20; i++)
        {
            await Task.WhenAll(Enumerable.Range(0, 10).Select(async j => await test.Store.SetAsync(["k", j], i)));
            var values = await test.Store.ListAsync(KvRange.Prefix(["k"])).Select(static e => e.As<int>()).ToListAsync();
            Assert.Equal(Enumerable.Repeat(i, 10), values);
        }

        await pair.ResumeAsync();
        Assert.Contains("Target Session Attributes=primary", test.Services.GetKvConnectionString(), StringComparison.OrdinalIgnoreCase);
        await using var context = test.CreateContext();
        await using var transaction = await context.Database.BeginTransactionAsync();
        await test.Store.Atomic().Set(["joined"], 1).CommitAsync(context);
        await transaction.CommitAsync();
        Assert.Equal(1, await test.Store.GetAsync<int>(["joined"]));

        // What is prepared on a session is known by its name, and a session of another server is another one.
        await context.Database.OpenConnectionAsync();
        Assert.DoesNotContain(",", test.Engine.Driver.SessionName(context.Database.GetDbConnection())!, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_data_source_of_several_hosts_leads_to_the_one_that_takes_writes(bool says)
    {
        var address = await pair.CreateMigratedAsync();
        await pair.CaughtUpAsync();
        await using var several = new NpgsqlDataSourceBuilder(pair.OnBoth(address)).BuildMultiHost();
        await using var test = await pair.CreateStoreAsync(
            connectionString: address,
            services: services => services.AddKvStore(db => db.UseNpgsql(
                says ? several.WithTargetSession(TargetSessionAttributes.Primary) : several)));

        await test.Store.SetAsync(["k"], 1);

        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
    }

    [Theory]
    [InlineData("any")]
    [InlineData("standby")]
    [InlineData("prefer-standby")]
    [InlineData("prefer-primary")]
    [InlineData("read-only")]
    public async Task A_store_that_may_be_led_to_a_standby_is_refused_and_told_where_that_belongs(string target)
    {
        var address = await pair.CreateMigratedAsync();
        var settings = new NpgsqlConnectionStringBuilder(pair.OnBoth(address)) { TargetSessionAttributes = target };
        await using var test = await pair.CreateStoreAsync(connectionString: settings.ConnectionString);

        var error = await Assert.ThrowsAsync<NotSupportedException>(() => test.Store.GetAsync(["k"]).AsTask());

        Assert.Contains($"Target Session Attributes={target}", error.Message, StringComparison.Ordinal);
        Assert.Contains("KvStoreOptions.ReplicaConnectionString", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_data_source_that_EF_Core_makes_of_several_hosts_cannot_be_told_and_is_refused_with_what_can()
    {
        var address = pair.OnBoth(await pair.CreateMigratedAsync());
        await using var test = await pair.CreateStoreAsync(
            connectionString: address,
            services: services => services.AddKvStore(db => db.UseNpgsql(
                address, static npgsql => npgsql.ConfigureDataSource(static source => source.EnableParameterLogging()))));

        var error = await Assert.ThrowsAsync<NotSupportedException>(() => test.Store.SetAsync(["k"], 1).AsTask());

        Assert.Contains("BuildMultiHost().WithTargetSession(TargetSessionAttributes.Primary)", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_replica_of_several_hosts_is_the_standby_where_that_is_preferred()
    {
        var address = await pair.CreateMigratedAsync();
        var replica = new NpgsqlConnectionStringBuilder(pair.OnBoth(address)) { TargetSessionAttributes = "prefer-standby" };
        await using var test = await pair.CreateStoreAsync(
            connectionString: pair.OnBoth(address), options: o => o.ReplicaConnectionString = replica.ConnectionString);
        await test.Store.SetAsync(["k"], 1);
        await pair.CaughtUpAsync();
        await pair.PauseAsync();
        await test.Store.SetAsync(["k"], 2);

        Assert.Equal(1, await test.Store.GetAsync<int>(["k"], KvReadOptions.Eventual));
        Assert.Equal(2, await test.Store.GetAsync<int>(["k"]));
        await pair.ResumeAsync();
    }
}
