using System.Net.Sockets;
using Kv.TestKit;
using Npgsql;

namespace Kv.Tests.TestKit;

public sealed class TcpProxyTests(PostgresDatabase database) : IClassFixture<PostgresDatabase>
{
    private static readonly TimeSpan Hang = TimeSpan.FromMinutes(1);

    [Fact]
    public async Task It_passes_what_both_sides_say()
    {
        await using var proxy = await StartAsync();
        await using var client = await OpenAsync(proxy.ConnectionString);
        var text = new string('x', 1_000_000);

        await using var echo = new NpgsqlCommand("select $1", client) { Parameters = { new() { Value = text } } };

        Assert.Equal(text, await echo.ExecuteScalarAsync());
    }

    [Fact]
    public async Task A_cut_resets_open_connections_and_lets_new_ones_through()
    {
        await using var proxy = await StartAsync();
        await using var client = await OpenAsync(proxy.ConnectionString);

        proxy.CutAll();

        var error = await Assert.ThrowsAnyAsync<NpgsqlException>(() => ExecuteAsync(client, "insert into t values (1)"));
        Assert.IsType<SocketException>(error.InnerException?.InnerException ?? error.InnerException);
        await using var next = await OpenAsync(proxy.ConnectionString);
        Assert.Equal(0, await CountAsync(next));
    }

    [Fact]
    public async Task While_it_refuses_no_connection_opens()
    {
        await using var proxy = await StartAsync();
        await using var open = await OpenAsync(proxy.ConnectionString);

        proxy.Refuse();

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => OpenAsync(proxy.ConnectionString));
        Assert.Equal(0, await CountAsync(open));

        proxy.Pass();
        await using var next = await OpenAsync(proxy.ConnectionString);
    }

    [Fact]
    public async Task A_commit_lands_while_its_answer_is_lost()
    {
        await using var proxy = await StartAsync();
        await using var client = await OpenAsync(proxy.ConnectionString);
        await using var transaction = await client.BeginTransactionAsync();
        await ExecuteAsync(client, "insert into t values (1)");

        var lost = proxy.LoseAnswerTo("commit");
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => transaction.CommitAsync());

        await lost.WaitAsync(Hang);
        await using var next = await OpenAsync(proxy.ConnectionString);
        Assert.Equal(1, await CountAsync(next));
    }

    [Fact]
    public async Task A_commit_that_never_arrives_changes_nothing()
    {
        await using var proxy = await StartAsync();
        await using var client = await OpenAsync(proxy.ConnectionString);
        await using var transaction = await client.BeginTransactionAsync();
        await ExecuteAsync(client, "insert into t values (1)");

        var lost = proxy.LoseRequest("commit");
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => transaction.CommitAsync());

        await lost.WaitAsync(Hang);
        await using var next = await OpenAsync(proxy.ConnectionString);

        // Ends when the server has noticed and rolled back: until then the table is locked.
        await ExecuteAsync(next, "alter table t add b int");
        Assert.Equal(0, await CountAsync(next));
    }

    [Fact]
    public async Task A_prepared_statement_springs_the_trap_though_its_text_was_sent_earlier()
    {
        await using var proxy = await StartAsync();
        await using var client = await OpenAsync(proxy.ConnectionString);
        await using var insert = new NpgsqlCommand("insert into t values (1)", client);
        await insert.PrepareAsync();
        await insert.ExecuteNonQueryAsync();

        var lost = proxy.LoseAnswerTo("insert");
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => insert.ExecuteNonQueryAsync());

        await lost.WaitAsync(Hang);
        await using var next = await OpenAsync(proxy.ConnectionString);
        Assert.Equal(2, await CountAsync(next));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_store_finds_out_what_became_of_its_commit(bool arrives)
    {
        await using var proxy = new TcpProxy(await database.CreateMigratedAsync());
        await using var test = await database.CreateStoreAsync(connectionString: proxy.ConnectionString);
        await test.Store.SetAsync(["before"], 1);

        var lost = arrives ? proxy.LoseAnswerTo("commit") : proxy.LoseRequest("commit");
        var versionstamp = await test.Store.SetAsync(["a"], 1);

        await lost.WaitAsync(Hang);
        Assert.Equal(versionstamp, (await test.Store.GetAsync(["a"]))?.Versionstamp);
    }

    [Fact]
    public async Task A_statement_that_passed_earlier_springs_no_trap()
    {
        await using var proxy = await StartAsync();
        await using var client = await OpenAsync(proxy.ConnectionString);
        await ExecuteAsync(client, "insert into t values (1)");

        var lost = proxy.LoseRequest("insert");

        Assert.Equal(1, await CountAsync(client));
        Assert.False(lost.IsCompleted);
    }

    [Fact]
    public async Task With_answers_dropped_a_statement_takes_effect_and_its_sender_waits_until_the_cut()
    {
        await using var proxy = await StartAsync();
        await using var client = await OpenAsync(proxy.ConnectionString);
        proxy.DropAnswers();

        var insert = ExecuteAsync(client, "insert into t values (1)");
        await using var direct = await OpenAsync(Direct(proxy));
        var started = TimeProvider.System.GetTimestamp();
        while (await CountAsync(direct) == 0 && TimeProvider.System.GetElapsedTime(started) < Hang)
        {
        }

        Assert.Equal(1, await CountAsync(direct));
        Assert.False(insert.IsCompleted);
        proxy.CutAll();
        await Assert.ThrowsAnyAsync<NpgsqlException>(() => insert);
    }

    [Fact]
    public async Task With_requests_dropped_a_statement_has_no_effect_and_its_sender_waits_until_the_cut()
    {
        await using var proxy = await StartAsync();
        await using var client = await OpenAsync(proxy.ConnectionString);
        proxy.DropRequests();

        var insert = ExecuteAsync(client, "insert into t values (1)");
        Assert.False(insert.IsCompleted);
        proxy.CutAll();

        await Assert.ThrowsAnyAsync<NpgsqlException>(() => insert);
        await using var direct = await OpenAsync(Direct(proxy));
        Assert.Equal(0, await CountAsync(direct));
    }

    private static async Task<NpgsqlConnection> OpenAsync(string connectionString)
    {
        // A pool would hand out connections that are cut.
        var connection = new NpgsqlConnection(connectionString + ";Pooling=false");
        await connection.OpenAsync();
        return connection;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string text)
    {
        await using var command = new NpgsqlCommand(text, connection);
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<long> CountAsync(NpgsqlConnection connection)
    {
        await using var command = new NpgsqlCommand("select count(*) from t", connection);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private string Direct(TcpProxy proxy) =>
        new NpgsqlConnectionStringBuilder(database.Server.ConnectionString) { Database = new NpgsqlConnectionStringBuilder(proxy.ConnectionString).Database }
            .ConnectionString;

    private async Task<TcpProxy> StartAsync()
    {
        var connectionString = await database.CreateEmptyAsync();
        await using var connection = await OpenAsync(connectionString);
        await ExecuteAsync(connection, "create table t (a int)");
        return new TcpProxy(connectionString);
    }
}
