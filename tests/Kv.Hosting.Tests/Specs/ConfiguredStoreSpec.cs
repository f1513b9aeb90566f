using Kv.Setup;
using Kv.Store;
using Kv.TestKit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Kv.Tests.Specs;

/// <summary>
/// A store, its worker and its topics are what a section of the configuration says; what it cannot mean is refused at start.
/// </summary>
public abstract class ConfiguredStoreSpec(KvDatabase database)
{
    private readonly LogCollector _logs = new();

    protected KvDatabase Database => database;

    protected abstract string Provider { get; }

    [Fact]
    public async Task A_section_names_the_database_the_options_the_worker_and_its_topics()
    {
        using var host = await BuildAsync(
            ("Kv:Provider", Provider),
            ("Kv:MaxValueSize", "100"),
            ("Kv:DeadLetterPrefix", "[\"dead\", 1]"),
            ("Kv:Worker:Concurrency", "3"),
            ("Kv:Topics:job:Concurrency", "2"),
            ("Kv:Topics:job:Rate:Count", "5"),
            ("Kv:Topics:job:Rate:Period", "00:00:01"));
        await host.StartAsync();

        var store = host.Services.GetRequiredService<KvStore>();
        await store.SetAsync(["k"], "v");
        Assert.Equal("v", await store.GetAsync<string>(["k"]));
        Assert.Equal((100, KvKey.Create("dead", 1)), (store.Engine.Options.MaxValueSize, store.Engine.Options.DeadLetterPrefix));
        Assert.Equal(3, host.Services.GetRequiredService<IOptions<KvWorkerOptions>>().Value.Concurrency);
        var topics = host.Services.GetRequiredService<WorkerRegistration>().Handlers.Topics(new KvWorkerOptions());
        Assert.Equal(2, Assert.Single(topics).Concurrency);
        await host.StopAsync();
    }

    [Fact]
    public async Task What_code_says_is_applied_after_the_configuration()
    {
        using var host = await BuildAsync(
            static (builder, configuration) =>
            {
                builder.Services.AddKvStore(configuration, static options => options.MaxValueSize = 200);
                builder.Services.AddKvWorker(static worker => worker.Concurrency = 4).Handle<Job>(static (_, _, _) => Task.CompletedTask)
                    .Topic<Job>(static topic => topic.Concurrency = 1);
            },
            ("Kv:Provider", Provider),
            ("Kv:MaxValueSize", "100"),
            ("Kv:MaxMessageSize", "100"),
            ("Kv:Worker:Concurrency", "3"),
            ("Kv:Topics:job:Concurrency", "2"),
            ("Kv:Topics:job:KeepAllDeadLetters", "true"));
        await host.StartAsync();

        var options = host.Services.GetRequiredService<IOptions<KvStoreOptions>>().Value;
        Assert.Equal((200, 100), (options.MaxValueSize, options.MaxMessageSize));
        Assert.Equal(4, host.Services.GetRequiredService<IOptions<KvWorkerOptions>>().Value.Concurrency);
        var topic = Assert.Single(host.Services.GetRequiredService<WorkerRegistration>().Handlers.Topics(new KvWorkerOptions()));
        Assert.Equal((1, true), (topic.Concurrency, topic.KeepAllDeadLetters));
        await host.StopAsync();
    }

    [Fact]
    public async Task A_connection_may_be_named_and_a_store_too()
    {
        var address = await database.CreateMigratedAsync();
        var builder = Builder(("Audit:Provider", Provider), ("Audit:ConnectionName", "main"), ("ConnectionStrings:main", address));
        builder.Services.AddKvStore("audit", builder.Configuration.GetSection("Audit"));
        using var host = builder.Build();

        await host.Services.GetRequiredKeyedService<IKvStore>("audit").SetAsync(["k"], 1);

        await using var same = await database.CreateStoreAsync(connectionString: address);
        Assert.Equal(1, await same.Store.GetAsync<int>(["k"]));
    }

    [Theory]
    [InlineData("Kv:MaxValuSize", "1", "Kv:MaxValuSize names nothing that there is")]
    [InlineData("Kv:MaxValueSize", "many", "Kv:MaxValueSize")]
    [InlineData("Kv:MaxValueSize", "1", "it must be at least 8")]
    [InlineData("Kv:DeadLetterPrefix", "dead", "DeadLetterPrefix")]
    [InlineData("Kv:Worker:Concurency", "1", "Kv:Worker:Concurency names nothing that there is")]
    [InlineData("Kv:Worker:Lease", "soon", "Kv:Worker:Lease")]
    [InlineData("Kv:Topics:job:Concurency", "1", "Kv:Topics:job:Concurency names nothing that there is")]
    [InlineData("Kv:Topics:job:Rate:Cuont", "1", "Kv:Topics:job:Rate:Cuont names nothing that there is")]
    [InlineData("Kv:Topics:job:Rate", "5", "Kv:Topics:job:Rate is '5', and KvRate is not written as text")]
    [InlineData("Kv:Maintenance", "daily", "Kv:Maintenance is 'daily', and KvMaintenancePolicy is not written as text")]
    [InlineData("Kv:Topics:job:Concurrency", "0", "job")]
    [InlineData("Kv:Provider", "MySql", "Kv:Provider is 'MySql', and a store runs on Sqlite or PostgreSql")]
    [InlineData("Kv:Provider", "", "Kv has a connection and no Provider")]
    [InlineData("Kv:ConnectionName", "other", "ConnectionString and ConnectionName")]
    public async Task What_the_section_cannot_mean_ends_the_start_with_its_path(string path, string value, string said)
    {
        using var host = await BuildAsync(("Kv:Provider", Provider), (path, value));

        var error = await Assert.ThrowsAnyAsync<Exception>(() => host.StartAsync());

        Assert.Contains(said, error.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_connection_name_that_there_is_not_is_refused()
    {
        var builder = Builder(("Kv:Provider", Provider), ("Kv:ConnectionName", "main"));
        builder.Services.AddKvStore();
        using var host = builder.Build();

        var error = Assert.Throws<OptionsValidationException>(host.Services.GetRequiredService<IKvStore>);

        Assert.Contains("there is no ConnectionStrings:main", error.Message, StringComparison.Ordinal);
        await Task.CompletedTask;
    }

    protected HostApplicationBuilder Builder(params (string Path, string? Value)[] values)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { ApplicationName = "configured-store" });
        builder.Configuration.AddInMemoryCollection(
            values.GroupBy(static v => v.Path).Select(static v => KeyValuePair.Create(v.Key, v.Last().Value)));
        builder.Services.AddSingleton(_ => _logs.CreateProvider());
        return builder;
    }

    protected LogCollector Logs => _logs;

    private Task<IHost> BuildAsync(params (string Path, string? Value)[] values) => BuildAsync(
        static (builder, configuration) =>
        {
            builder.Services.AddKvStore(configuration);
            builder.Services.AddKvWorker().Handle<Job>(static (_, _, _) => Task.CompletedTask);
        },
        values);

    private async Task<IHost> BuildAsync(
        Action<HostApplicationBuilder, IConfiguration> add, params (string Path, string? Value)[] values)
    {
        var builder = Builder([("Kv:ConnectionString", await database.CreateMigratedAsync()), .. values]);
        add(builder, builder.Configuration);
        return builder.Build();
    }
}

public sealed class SqliteConfiguredStoreTests(SqliteDatabase database) : ConfiguredStoreSpec(database), IClassFixture<SqliteDatabase>
{
    protected override string Provider => "Sqlite";

    [Fact]
    public async Task Where_nothing_names_a_database_the_store_is_in_the_users_own_folder_and_says_so()
    {
        var builder = Builder();
        builder.Services.AddKvStore();
        using var host = builder.Build();
        var folder = Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData), "configured-store");
        try
        {
            await host.Services.MigrateKvStoreAsync();
            await host.Services.GetRequiredService<IKvStore>().SetAsync(["k"], 1);

            Assert.True(File.Exists(Path.Combine(folder, "kv.sqlite3")));
            Assert.Contains(Logs.Entries, line => line.Text.Contains(folder, StringComparison.Ordinal));
        }
        finally
        {
            host.Dispose();
            Directory.Delete(folder, recursive: true);
        }
    }
}

public sealed class PostgresConfiguredStoreTests(PostgresDatabase database) : ConfiguredStoreSpec(database), IClassFixture<PostgresDatabase>
{
    protected override string Provider => "PostgreSql";

    [Fact]
    public async Task A_data_source_of_the_services_is_used_where_the_section_names_no_connection()
    {
        var address = await Database.CreateMigratedAsync();
        await using var source = Npgsql.NpgsqlDataSource.Create(address);
        var builder = Builder(("Kv:Provider", Provider));
        builder.Services.AddSingleton(source);
        builder.Services.AddKvStore();
        using var host = builder.Build();

        await host.Services.GetRequiredService<IKvStore>().SetAsync(["k"], 1);

        await using var same = await Database.CreateStoreAsync(connectionString: address);
        Assert.Equal(1, await same.Store.GetAsync<int>(["k"]));
    }

    [Fact]
    public void Without_any_connection_what_is_missing_is_named()
    {
        var builder = Builder(("Kv:Provider", Provider));
        builder.Services.AddKvStore();
        using var host = builder.Build();

        var error = Assert.Throws<InvalidOperationException>(host.Services.GetRequiredService<IKvStore>);

        Assert.Contains("neither its configuration has a ConnectionString", error.Message, StringComparison.Ordinal);
    }
}
