using Kv.Sqlite;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Sqlite;

/// <summary>A store in memory is a store like any other, whose database is its own and is gone with it.</summary>
public sealed class MemoryStoreTests(SqliteDatabase database) : IClassFixture<SqliteDatabase>
{
    private const string Memory = "Data Source=:memory:";

    [Theory]
    [InlineData(Memory)]
    [InlineData("Data Source=anything;Mode=Memory")]
    public async Task Reads_go_on_beside_a_writer_and_many_writers_add_up(string connectionString)
    {
        await using var test = await CreateAsync(connectionString);
        await test.Store.SetAsync(["n"], 0UL);

        var writers = Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            for (var i = 0; i < 50; i++)
            {
                await test.Store.TransactAsync(async (transaction, token) =>
                {
                    var n = await transaction.GetAsync<ulong>(["n"], token);
                    transaction.Writes.Set(["n"], n + 1).Set(["log", n], n);
                });
                Assert.NotEmpty(await test.Store.ListAsync(KvRange.Prefix(["log"]), new KvListOptions { Limit = 3 }).ToListAsync());
            }
        }));
        await Task.WhenAll(writers);

        Assert.Equal(400UL, await test.Store.GetAsync<ulong>(["n"]));
        Assert.Equal(400, await test.Store.CountAsync(KvRange.Prefix(["log"])));
        Assert.Equal("wal", await ModeAsync(test.Services.GetKvConnectionString()));
    }

    [Fact]
    public async Task Every_store_has_a_database_of_its_own()
    {
        await using var first = await CreateAsync(Memory);
        await using var second = await CreateAsync(Memory);

        await first.Store.SetAsync(["k"], 1);

        Assert.Null(await second.Store.GetAsync(["k"]));
        Assert.NotEqual(first.Services.GetKvConnectionString(), second.Services.GetKvConnectionString());
    }

    [Fact]
    public async Task A_database_in_memory_is_private_and_gone_with_its_store()
    {
        var test = await CreateAsync(Memory);
        await test.Store.SetAsync(["k"], 1);
        var folder = new DirectoryInfo(Path.GetDirectoryName(PathOf(test.Services.GetKvConnectionString()))!);
        Assert.True(folder.Exists);
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, folder.UnixFileMode);
        }

        await test.DisposeAsync();

        folder.Refresh();
        Assert.False(folder.Exists);
    }

    [Fact]
    public async Task A_context_joins_it_by_its_connection_string()
    {
        await using var test = await database.CreateStoreAsync(connectionString: Memory, services: static services =>
            services.AddDbContext<ShopContext>(static (provider, db) => db.UseSqlite(provider.GetKvConnectionString()).UseKv()));
        await test.Services.MigrateKvStoreAsync();
        await using var scope = test.Services.CreateAsyncScope();
        var shop = scope.ServiceProvider.GetRequiredService<ShopContext>();
        await shop.Database.ExecuteSqlRawAsync(shop.Database.GenerateCreateScript());

        shop.Add(new ShopOrder { Name = "lamp" });
        shop.Kv().Set(["orders", 7], "lamp");
        await shop.SaveChangesAsync();

        Assert.Equal("lamp", await test.Store.GetAsync<string>(["orders", 7]));
        Assert.Equal(1, await shop.Orders.CountAsync());
    }

    [Fact]
    public async Task A_store_on_the_database_of_a_context_in_memory_is_refused_with_what_to_do()
    {
        await using var provider = new ServiceCollection()
            .AddDbContext<ShopContext>(static db => db.UseSqlite(Memory).UseKv()).AddKvStore<ShopContext>().BuildServiceProvider();

        var error = Assert.Throws<InvalidOperationException>(provider.GetRequiredService<IKvStore>);

        Assert.Contains("The context ShopContext is in memory", error.Message, StringComparison.Ordinal);
        Assert.Contains("provider.GetKvConnectionString()", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Data Source=", "Filename cannot be empty")]
    [InlineData("Data Source=:other", "Filename cannot start with ':' unless prefixed with './': received ':other'")]
    public async Task Names_that_no_file_has_are_refused_as_Deno_refuses_them(string connectionString, string message)
    {
        await using var test = await database.CreateStoreAsync(connectionString: connectionString);

        var error = Assert.Throws<ArgumentException>(() => test.Store);

        Assert.StartsWith(message, error.Message, StringComparison.Ordinal);
        Assert.Contains(":memory:", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_killed_process_left_is_removed_and_what_a_living_one_has_is_not()
    {
        await using var test = await CreateAsync(Memory);
        var living = Path.GetDirectoryName(PathOf(test.Services.GetKvConnectionString()))!;
        var left = Path.Combine(MemoryFolder.Root, $"efkv-memory-{Guid.NewGuid():n}");
        Directory.CreateDirectory(left);
        await File.WriteAllTextAsync(Path.Combine(left, "owner"), "");
        await File.WriteAllTextAsync(Path.Combine(left, "store.db"), "");

        MemoryFolder.Sweep(MemoryFolder.Root);

        Assert.False(Directory.Exists(left));
        Assert.True(Directory.Exists(living));
        await test.Store.SetAsync(["k"], 1);
    }

    private static string PathOf(string connectionString) => new SqliteConnectionStringBuilder(connectionString).DataSource;

    private static async Task<string?> ModeAsync(string connectionString)
    {
        await using var connection = new SqliteConnection($"{connectionString};Pooling=False");
        await connection.OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = "pragma journal_mode";
        return (string?)await command.ExecuteScalarAsync();
    }

    private async Task<KvTestStore> CreateAsync(string connectionString)
    {
        var test = await database.CreateStoreAsync(connectionString: connectionString);
        await test.Services.MigrateKvStoreAsync();
        return test;
    }
}
