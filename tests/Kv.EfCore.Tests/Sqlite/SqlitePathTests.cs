using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Sqlite;

/// <summary>Which file a connection string names. The working directory belongs to the process, so nothing runs beside these tests.</summary>
[CollectionDefinition(nameof(WorkingDirectory), DisableParallelization = true)]
public sealed class WorkingDirectory;

/// <summary>A store is one file, wherever the program goes.</summary>
[Collection(nameof(WorkingDirectory))]
public sealed class SqlitePathTests : IDisposable
{
    private readonly string _before = Environment.CurrentDirectory;
    private readonly string _folder = Directory.CreateTempSubdirectory("efkv-a #50%?").FullName;

    public SqlitePathTests()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "here", "sub"));
        Directory.CreateDirectory(Path.Combine(_folder, "there", "sub"));
        GoTo("here");
    }

    [Theory]
    [InlineData("app.db")]
    [InlineData("./app.db")]
    [InlineData("sub/../app.db")]
    [InlineData("../here/app.db")]
    [InlineData("file:app.db")]
    [InlineData("file:sub/../app.db?cache=private")]
    [InlineData("FILE:%61pp.db")]
    public async Task A_relative_path_is_looked_up_once_and_the_file_stays_the_same_when_the_working_directory_changes(string source)
    {
        await using var provider = new ServiceCollection()
            .AddKvStore(db => db.UseSqlite($"Data Source='{source}'"))
            .AddKvStore("named", (_, db) => db.UseSqlite($"Data Source='{source}'"))
            .BuildServiceProvider();
        await provider.MigrateKvStoreAsync();
        var (kv, named) = (provider.GetRequiredService<IKvStore>(), provider.GetRequiredKeyedService<IKvStore>("named"));
        await kv.SetAsync(["k"], "mine");

        GoTo("there");

        var reads = await Task.WhenAll(Enumerable.Range(0, 60).Select(_ => Task.Run(() => kv.GetAsync<string>(["k"]).AsTask())));
        Assert.All(reads, static value => Assert.Equal("mine", value));
        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => kv.ListAsync(KvRange.Prefix([]), new() { Snapshot = true }).ToListAsync().AsTask()));
        await kv.EnqueueAsync("m");
        Assert.Equal("mine", await named.GetAsync<string>(["k"]));
        Assert.Equal(1, Assert.Single(await provider.GetRequiredService<IKvQueue>().GetStatsAsync()).Due);
        await using (var context = await provider.GetRequiredService<IDbContextFactory<KvDbContext>>().CreateDbContextAsync())
        {
            Assert.Equal(1, await context.Entries.CountAsync());
        }

        await using (var scope = provider.CreateAsyncScope())
        {
            Assert.Equal(1, await scope.ServiceProvider.GetRequiredService<KvDbContext>().QueuedMessages.CountAsync());
        }

        Assert.Empty(Directory.GetFiles(Path.Combine(_folder, "there"), "*", SearchOption.AllDirectories));
        Assert.True(File.Exists(Path.Combine(_folder, "here", "app.db")));
    }

    [Theory]
    [InlineData("|DataDirectory|app.db")]
    [InlineData("|datadirectory|app.db")]
    [InlineData("app.db")]
    public async Task The_data_directory_is_looked_up_once_too(string source)
    {
        AppDomain.CurrentDomain.SetData("DataDirectory", "sub");
        try
        {
            await using var provider = new ServiceCollection().AddKvStore(db => db.UseSqlite($"Data Source={source}")).BuildServiceProvider();
            await provider.MigrateKvStoreAsync();
            var kv = provider.GetRequiredService<IKvStore>();
            await kv.SetAsync(["k"], "mine");

            GoTo("there");
            AppDomain.CurrentDomain.SetData("DataDirectory", _folder);

            await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => kv.ListAsync(KvRange.Prefix([]), new() { Snapshot = true }).ToListAsync().AsTask()));
            Assert.Equal("mine", await kv.GetAsync<string>(["k"]));
            Assert.True(File.Exists(Path.Combine(_folder, "here", "sub", "app.db")));
            Assert.Empty(Directory.GetFiles(Path.Combine(_folder, "there"), "*", SearchOption.AllDirectories));
        }
        finally
        {
            AppDomain.CurrentDomain.SetData("DataDirectory", null);
        }
    }

    [Fact]
    public async Task A_connection_of_the_callers_own_is_settled_like_a_connection_string()
    {
        await using var connection = new SqliteConnection("Data Source=app.db;Default Timeout=7");
        await using var provider = new ServiceCollection().AddKvStore(db => db.UseSqlite(connection)).BuildServiceProvider();

        await provider.MigrateKvStoreAsync();

        Assert.Equal(Path.Combine(Environment.CurrentDirectory, "app.db"), new SqliteConnectionStringBuilder(connection.ConnectionString).DataSource);
        Assert.Equal(7, connection.DefaultTimeout);
    }

    public void Dispose()
    {
        Environment.CurrentDirectory = _before;
        SqliteConnection.ClearAllPools();
        Directory.Delete(_folder, recursive: true);
    }

    private void GoTo(string folder) => Environment.CurrentDirectory = Path.Combine(_folder, folder);
}
