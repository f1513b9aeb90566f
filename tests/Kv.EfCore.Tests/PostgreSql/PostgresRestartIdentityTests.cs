using Kv.TestKit;

namespace Kv.Tests.PostgreSql;

/// <summary>On a server that these tests alone use, and crash.</summary>
public sealed class PostgresRestartIdentityTests(PrivatePostgresDatabase database) : IClassFixture<PrivatePostgresDatabase>
{
    [Fact]
    public async Task A_write_is_joined_after_the_server_was_restarted()
    {
        await using var test = await database.CreateStoreAsync();
        await JoinAsync(1);

        await database.Server.RestartImmediateAsync();
        database.Release(test.ConnectionString);
        await JoinAsync(2);

        Assert.Equal(2, await test.Store.GetAsync<int>(["k"]));

        async Task JoinAsync(int value)
        {
            await using var context = test.CreateContext();
            await using var transaction = await context.Database.BeginTransactionAsync();
            Assert.True((await test.Store.Atomic().Set(["k"], value).CommitAsync(context)).Succeeded);
            await transaction.CommitAsync();
        }
    }
}
