using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Kv.Tests.PostgreSql;

/// <summary>Another schema is not the store's, nor is a table that comes first in the search path.</summary>
public sealed class PostgresIdentityTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_write_joined_to_another_schema_of_the_same_database_is_refused_and_the_transaction_goes_on(bool pooling)
    {
        var address = await database.CreateMigratedAsync();
        await using var test = await database.CreateStoreAsync(connectionString: address, options: o => o.TransactionPooling = pooling);
        var tenant = new NpgsqlConnectionStringBuilder(address) { SearchPath = "tenant" }.ConnectionString;
        await using var context = await database.NotesAsync(address);
        await context.Database.ExecuteSqlRawAsync("create schema tenant");
        await context.Database.ExecuteSqlRawAsync("create schema bare");
        await using var ofTenant = await database.CreateStoreAsync(connectionString: tenant);
        await ofTenant.Services.MigrateKvStoreAsync();
        await context.Database.OpenConnectionAsync();

        // All on one session of the server, which has the statements of the right schema prepared.
        await using (var transaction = await context.Database.BeginTransactionAsync())
        {
            Assert.True((await test.Store.Atomic().Set(["right"], 1).CommitAsync(context)).Succeeded);
            foreach (var path in new[] { "tenant, public", "bare", "tenant", "bare" })
            {
                await context.Database.ExecuteSqlAsync($"select set_config('search_path', {path}, false)");
                await test.AssertRefusedAsync(context);
                await test.AssertRefusedAsync(context, static write => write.Set(["wrong"], 1));
                await test.AssertRefusedAsync(context, static write => write.Check(["right"], null).Min(["n"], 1).Enqueue("m"));
            }

            await context.Database.ExecuteSqlRawAsync("set search_path to bare, public");
            Assert.True((await test.Store.Atomic().Set(["right", 2], 1).CommitAsync(context)).Succeeded);
            await transaction.CommitAsync();
        }

        Assert.Equal([["right"], ["right", 2]], await test.KeysAsync());
        Assert.Empty(await ofTenant.KeysAsync());
    }

    [Fact]
    public async Task A_table_of_the_application_that_comes_first_in_the_search_path_is_noticed()
    {
        var address = await database.CreateMigratedAsync();
        await using var test = await database.CreateStoreAsync(connectionString: address);
        await using var context = await database.NotesAsync(address);
        await context.Database.ExecuteSqlRawAsync("create schema app; create table app.queue (like public.queue including all)");
        await context.Database.OpenConnectionAsync();
        await context.Database.ExecuteSqlRawAsync("set search_path to app, public");
        await using var transaction = await context.Database.BeginTransactionAsync();

        await test.AssertRefusedAsync(context);

        await transaction.CommitAsync();
    }

    [Fact]
    public async Task A_write_is_joined_to_a_database_that_was_made_anew_under_the_store()
    {
        var address = await database.CreateMigratedAsync();
        await using var test = await database.CreateStoreAsync(connectionString: address);
        await JoinAsync("before");
        var name = new NpgsqlConnectionStringBuilder(address).Database!;
        var other = new NpgsqlConnectionStringBuilder(await database.CreateMigratedAsync()).Database!;
        await database.ExecuteAsync($"drop database {name} with (force)");
        await database.ExecuteAsync($"alter database {other} rename to {name}");
        database.Release(address);

        await JoinAsync("after");

        Assert.Equal([["after"]], await test.KeysAsync());

        async Task JoinAsync(string key)
        {
            await using var context = database.Notes(address);
            await using var transaction = await context.Database.BeginTransactionAsync();
            Assert.True((await test.Store.Atomic().Set([key], 1).CommitAsync(context)).Succeeded);
            await transaction.CommitAsync();
        }
    }

    [Fact]
    public async Task A_write_is_joined_through_a_data_source_and_with_the_users_own_prepared_statements()
    {
        var address = await database.CreateMigratedAsync();
        await using var test = await database.CreateStoreAsync(connectionString: address);
        var prepares = new NpgsqlConnectionStringBuilder(address) { MaxAutoPrepare = 20, AutoPrepareMinUsages = 1 };
        await using var source = NpgsqlDataSource.Create(prepares.ConnectionString);
        var options = new DbContextOptionsBuilder<NotesContext>().UseNpgsql(source).Options;
        for (var i = 0; i < 4; i++)
        {
            await using var context = new NotesContext(options);
            await using var transaction = await context.Database.BeginTransactionAsync();
            Assert.True((await test.Store.Atomic().Set(["k", i], 1).Enqueue("m").CommitAsync(context)).Succeeded);
            await transaction.CommitAsync();
        }

        Assert.Equal(4, await test.Store.CountAsync(KvRange.Prefix(["k"])));
    }
}
