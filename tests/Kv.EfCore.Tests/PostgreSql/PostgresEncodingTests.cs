using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace Kv.Tests.Faults;

/// <summary>A database whose encoding is not UTF8: entries have bytes for keys and values, messages have texts.</summary>
public sealed class PostgresEncodingTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>, IAsyncLifetime
{
    private const int NotUtf8 = 190;
    private readonly LogCollector _logs = new();
    private readonly string _name = $"efkv_latin_{Guid.NewGuid():N}";

    public async ValueTask InitializeAsync() =>
        await database.ExecuteAsync($"create database {_name} encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' template template0");

    public async ValueTask DisposeAsync() => await database.ExecuteAsync($"drop database {_name} with (force)");

    [Fact]
    public async Task A_database_of_another_encoding_is_warned_of_once_by_its_name()
    {
        await using (var test = await OpenAsync())
        {
            await Task.WhenAll(Enumerable.Range(0, 10).Select(i => test.Store.SetAsync(["a", i], i).AsTask()));
        }

        await using (var again = await OpenAsync())
        {
            await again.Store.SetAsync(["k"], 1);
        }

        await using (var other = await database.CreateStoreAsync(services: Log))
        {
            await other.Store.SetAsync(["k"], 1);
        }

        var (level, _, text) = Assert.Single(_logs.Entries, static entry => entry.Event == NotUtf8);
        Assert.Equal(LogLevel.Warning, level);
        Assert.Contains($"database \"{_name}\"", text, StringComparison.Ordinal);
        Assert.Contains("LATIN1", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_and_values_have_what_the_databases_encoding_lacks()
    {
        await using var test = await OpenAsync();
        KvKey key = ["日本", "\U0001F600"];

        await test.Store.SetAsync(key, "日本");
        await test.Store.EnqueueAsync("m", new KvEnqueueOptions { KeysIfUndelivered = [key], GroupKey = "Müller", Topic = "t" });

        Assert.Equal("日本", await test.Store.GetAsync<string>(key));
        Assert.Equal(key, Assert.Single(await test.Store.ListKeysAsync(KvRange.Prefix(["日本"])).ToListAsync()));
        Assert.Equal("Müller", Assert.Single(await test.Services.GetRequiredService<IKvQueue>().PeekAsync("t")).GroupKey);
    }

    [Theory]
    [InlineData("group")]
    [InlineData("unique")]
    [InlineData("rate")]
    [InlineData("topic")]
    public async Task Text_that_the_databases_encoding_lacks_is_refused_and_harms_no_other_write(string where)
    {
        await using var test = await OpenAsync();
        await test.Store.SetAsync(["k"], "日本");

        var refused = test.Store.EnqueueAsync("m", where switch
        {
            "group" => new KvEnqueueOptions { GroupKey = "a日本" },
            "unique" => new KvEnqueueOptions { UniqueKey = "a日本" },
            "rate" => new KvEnqueueOptions { RateKey = "a日本" },
            _ => new KvEnqueueOptions { Topic = "a日本" },
        }).AsTask();
        await Task.WhenAll(Enumerable.Range(0, 10).Select(i => test.Store.SetAsync(["a", i], i).AsTask()));

        var error = await Assert.ThrowsAsync<KvException>(() => refused);
        Assert.Equal(KvErrorKind.Refused, error.Kind);
        Assert.Contains("LATIN1", error.Message, StringComparison.Ordinal);
        Assert.Contains("lacks '日' (U+65E5)", error.Message, StringComparison.Ordinal);
        Assert.Equal("日本", await test.Store.GetAsync<string>(["k"]));
        Assert.Equal(11, await test.Store.CountAsync(KvRange.Prefix([])));
    }

    private async Task<KvTestStore> OpenAsync()
    {
        var address = new NpgsqlConnectionStringBuilder(database.Server.ConnectionString) { Database = _name };
        var test = await database.CreateStoreAsync(services: Log, connectionString: address.ConnectionString);
        await test.Services.MigrateKvStoreAsync();
        return test;
    }

    private void Log(IServiceCollection services) => services.AddSingleton(_logs.CreateProvider());
}
