using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Kv.Tests.Specs;

/// <summary>A store whose tables are in a schema or begin with a prefix, beside an application's tables of the default names.</summary>
public abstract class NamedTablesSpec(KvDatabase database, KvDatabase plain)
{
    /// <summary>Options that are not for this database.</summary>
    protected abstract Action<KvStoreOptions> Foreign { get; }

    /// <summary>What an error says of them.</summary>
    protected abstract string Refusal { get; }

    /// <summary>Options that give the tables this name.</summary>
    protected abstract Action<KvStoreOptions> Named(string name);

    /// <summary>The application's model, with the store's tables in it.</summary>
    protected abstract void Model(ModelBuilder model, string name);

    [Fact]
    public async Task Migrations_make_the_tables_once_and_leave_the_application_s_alone()
    {
        await using var test = await database.CreateStoreAsync();

        Assert.Empty(await test.Services.MigrateKvStoreAsync());
        await test.Store.SetAsync(["k"], 1);

        await using var context = test.CreateContext();
        Assert.Equal(1, await context.Entries.CountAsync());
        Assert.Equal(1, await context.Versions.CountAsync(static v => v.Key == 0));
        Assert.Equal(0, await CountOwnAsync(context));
    }

    [Fact]
    public async Task Stores_of_other_names_in_one_database_are_apart()
    {
        await using var first = await database.CreateStoreAsync();
        await using var second = await database.CreateStoreAsync(connectionString: first.ConnectionString, options: Named("other"));
        Assert.NotEmpty(await second.Services.MigrateKvStoreAsync());

        await first.Store.Atomic().Set(["k"], 1).Enqueue(new Job(1)).CommitAsync();
        await second.Store.SetAsync(["k"], 2);

        Assert.Equal((1, 2), (await first.Store.GetAsync<int>(["k"]), await second.Store.GetAsync<int>(["k"])));
        Assert.Single(await first.QueuedAsync());
        Assert.Empty(await second.QueuedAsync());
    }

    [Fact]
    public async Task EF_Core_migrates_them_as_well()
    {
        await using var test = await database.CreateStoreAsync(connectionString: await database.CreateEmptyAsync());
        await using var context = test.CreateContext();

        await context.Database.MigrateAsync();

        Assert.Empty(await context.Database.GetPendingMigrationsAsync());
        Assert.Empty(await test.Services.MigrateKvStoreAsync());
        await test.Store.SetAsync(["k"], 1);
        Assert.Equal(1, await context.Entries.CountAsync());
    }

    [Fact]
    public async Task Commits_of_another_process_are_heard_of()
    {
        await using var here = await database.CreateStoreAsync();
        await using var there = await database.CreateStoreAsync(connectionString: here.ConnectionString);
        await using var watch = here.Store.WatchAsync([["k"]]).GetAsyncEnumerator();
        Assert.Null((await watch.NextAsync())[0]);

        await there.Store.SetAsync(["k"], 5);

        Assert.Equal(5, (await watch.NextAsync())[0]!.As<int>());
    }

    [Fact]
    public async Task A_context_joins_it()
    {
        await using var shop = await Shop.OpenAsync(database);
        await using var db = shop.Open();
        db.Orders.Add(new ShopOrder { Name = "lamp" });
        db.Kv().Set(["orders", 1], "lamp").Enqueue(new Job(1));

        await db.SaveChangesAsync();

        Assert.Equal(["lamp"], await shop.OrdersAsync());
        Assert.Equal("lamp", await shop.Store.GetAsync<string>(["orders", 1]));
        Assert.Single(await shop.MessagesAsync());
    }

    [Fact]
    public async Task Tables_of_an_application_s_own_model_are_used_as_they_are()
    {
        var address = await plain.CreateEmptyAsync();
        await using (var own = new OwnContext(OptionsOf(address), model => Model(model, "sales")))
        {
            await own.Database.OpenConnectionAsync();
            await own.Database.ExecuteSqlRawAsync(own.Database.GenerateCreateScript());
        }

        await using var test = await plain.CreateStoreAsync(connectionString: address, options: Named("sales"));
        await test.Store.Atomic().Set(["k"], 1).Enqueue(new Job(1)).CommitAsync();

        await using var context = new OwnContext(OptionsOf(address), model => Model(model, "sales"));
        Assert.Equal(1, await context.Set<Kv.Model.StoredEntry>().CountAsync());
        Assert.Equal(1, await context.Set<Kv.Model.QueuedMessage>().CountAsync());
    }

    [Fact]
    public async Task A_store_on_a_context_takes_the_names_of_its_model()
    {
        var address = await plain.CreateEmptyAsync();
        await using var services = Services(options: null);
        await using (var scope = services.CreateAsyncScope())
        {
            var own = scope.ServiceProvider.GetRequiredService<OwnContext>();
            await own.Database.OpenConnectionAsync();
            await own.Database.ExecuteSqlRawAsync(own.Database.GenerateCreateScript());
            await services.GetRequiredService<IKvStore>().SetAsync(["k"], 1);
            Assert.Equal(1, await own.Set<Kv.Model.StoredEntry>().CountAsync());
        }

        await using var agreeing = Services(Named("sales"));
        Assert.Equal(1, await agreeing.GetRequiredService<IKvStore>().GetAsync<int>(["k"]));
        await using var other = Services(Named("other"));
        var error = Assert.Throws<OptionsValidationException>(other.GetRequiredService<IKvStore>);
        Assert.Contains(
            "is 'other', but the model of OwnContext has the store's tables under 'sales'", error.Message, StringComparison.Ordinal);

        ServiceProvider Services(Action<KvStoreOptions>? options) => new ServiceCollection()
            .AddScoped(_ => new OwnContext(OptionsOf(address), model => Model(model, "sales")))
            .AddSingleton(OptionsOf(address))
            .AddKvStore<OwnContext>(options)
            .BuildServiceProvider();
    }

    [Fact]
    public async Task What_the_database_does_not_have_is_refused_with_what_it_has()
    {
        await using var test = await plain.CreateStoreAsync(options: Foreign);

        var error = Assert.Throws<OptionsValidationException>(() => test.Store);

        Assert.Contains(Refusal, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("1st")]
    [InlineData("my-app")]
    [InlineData("a\"; drop table kv; --")]
    [InlineData("ä")]
    [InlineData("line\n")]
    [InlineData("a123456789b123456789c123456789d123456789e123456789f")]
    public async Task A_name_that_would_have_to_be_escaped_is_refused(string name)
    {
        await using var test = await plain.CreateStoreAsync(options: Named(name));

        var error = Assert.Throws<OptionsValidationException>(() => test.Store);

        Assert.Contains($"is '{name}'; it must be 1 to 50 letters, digits and underscores", error.Message, StringComparison.Ordinal);
    }

    private Task<long> CountOwnAsync(DbContext context)
    {
        const string Rows = """
            select cast(sum(n) as bigint) as "Value" from (select count(*) as n from here.kv
                union all select count(*) from here.data_version
                union all select count(*) from here.queue union all select count(*) from here.queue_running
                union all select count(*) from here.__kv_migrations) s
            """;
        var text = Rows.Replace("here", database is PostgresDatabase ? "public" : "main", StringComparison.Ordinal);
        return context.Database.SqlQueryRaw<long>(text).SingleAsync();
    }

    private DbContextOptions<OwnContext> OptionsOf(string address)
    {
        var builder = new DbContextOptionsBuilder<OwnContext>();
        plain.Configure(builder, address);
        return builder.Options;
    }

    private sealed class OwnContext(DbContextOptions options, Action<ModelBuilder> model) : DbContext(options)
    {
        protected override void OnModelCreating(ModelBuilder modelBuilder) => model(modelBuilder);
    }
}

public sealed class SqliteNamedTablesTests(PrefixedSqliteDatabase database, SqliteDatabase plain)
    : NamedTablesSpec(database, plain), IClassFixture<PrefixedSqliteDatabase>, IClassFixture<SqliteDatabase>
{
    protected override Action<KvStoreOptions> Foreign => static options => options.Schema = "app";

    protected override string Refusal => "KvStoreOptions.Schema is 'app', but the store's database is SQLite";

    protected override Action<KvStoreOptions> Named(string name) => options => options.TablePrefix = name;

    protected override void Model(ModelBuilder model, string name) => model.UseKv(name);
}

public sealed class PostgresNamedTablesTests(SchemaPostgresDatabase database, PostgresDatabase plain)
    : NamedTablesSpec(database, plain), IClassFixture<SchemaPostgresDatabase>, IClassFixture<PostgresDatabase>
{
    protected override Action<KvStoreOptions> Foreign => static options => options.TablePrefix = "app";

    protected override string Refusal => "KvStoreOptions.TablePrefix is 'app', but the store's database is PostgreSQL";

    protected override Action<KvStoreOptions> Named(string name) => options => options.Schema = name;

    protected override void Model(ModelBuilder model, string name) => model.HasDefaultSchema(name).UseKv();
}
