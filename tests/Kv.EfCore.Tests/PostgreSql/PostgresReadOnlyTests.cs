using Kv.Commits;
using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>Connections of PostgreSQL that are open and of no use.</summary>
public sealed class PostgresReadOnlyTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_database_that_was_read_only_for_a_while_takes_writes_on_from_the_same_process(bool source)
    {
        var address = await database.CreateMigratedAsync();
        await using var data = NpgsqlDataSource.Create(address);
        await using var test = await database.CreateStoreAsync(
            connectionString: address,
            options: static o => o.CommandTimeout = TimeSpan.FromSeconds(1),
            services: services => _ = source ? services.AddKvStore(db => db.UseNpgsql(data)) : services);
        await test.Store.Atomic().Set(["k"], 0).Enqueue("m").CommitAsync();
        var name = new NpgsqlConnectionStringBuilder(address).Database!;
        await database.ExecuteAsync($"alter database {name} set default_transaction_read_only = on");
        await database.Server.TerminateBackendsAsync(name);

        // Several at once, so that several connections are opened while it is so.
        var errors = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => Record.ExceptionAsync(() => test.Store.SetAsync(["k"], i).AsTask()).AsTask()));
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async _ => await test.Store.CountAsync(KvRange.Prefix([]))));

        // The commit whose connection the server ended cannot be asked for where nothing can be locked.
        Assert.All(errors, static error => Assert.True(error is KvException { Kind: KvErrorKind.Unavailable or KvErrorKind.CommitUnknown }, error?.ToString()));
        var refused = await Assert.ThrowsAsync<KvException>(() => test.Store.SetAsync(["k"], 5).AsTask());
        Assert.Equal(KvErrorKind.Unavailable, refused.Kind);
        Assert.Contains("read-only transaction", refused.Message, StringComparison.Ordinal);
        await database.ExecuteAsync($"alter database {name} reset default_transaction_read_only");

        await test.Store.SetAsync(["k"], 10);
        await test.Engine.Runner.ResolveAsync(new CommitMark(1L << 40, 1), default);
        Assert.Equal(10, await test.Store.GetAsync<int>(["k"]));
        await using var context = test.CreateContext();
        await using var transaction = await context.Database.BeginTransactionAsync();
        await test.Store.Atomic().Set(["k"], 11).CommitAsync(context);
        await transaction.CommitAsync();
    }

    [Fact]
    public async Task A_statement_whose_plan_the_tables_outgrew_is_prepared_anew()
    {
        await using var test = await database.CreateStoreAsync(options: static o => o.CommandTimeout = TimeSpan.FromSeconds(10));
        await test.Store.SetAsync(["k"], 1);
        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
        await using (var context = test.CreateContext())
        {
            await context.Database.ExecuteSqlRawAsync("alter table kv alter column v_encoding type bigint; alter table kv alter column v_encoding type integer");
        }

        Assert.Equal(1, await test.Store.GetAsync<int>(["k"]));
        await test.Store.SetAsync(["k"], 2);
        Assert.Equal(2, await test.Store.GetAsync<int>(["k"]));
    }
}
