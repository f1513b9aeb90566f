using System.Data.Common;
using System.Runtime.InteropServices;
using Kv.Sqlite;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Kv.Tests.Sqlite;

/// <summary>Statements on SQLite's own handle do what the driver's commands do.</summary>
public sealed class SqliteStatementTests(SqliteDatabase database) : IClassFixture<SqliteDatabase>
{
    private const string Long = "a text that is longer than what is kept on the stack, so that its bytes need a buffer of their own: ";

    public static TheoryData<object> Values =>
    [
        DBNull.Value, Array.Empty<byte>(), new byte[] { 0, 1, 0, 255 }, new byte[70_000], "", "t", "a\0b", "\0", "äöü€😀", "lone \ud800 surrogate", Long + Long,
        0, -1, int.MaxValue, long.MinValue, long.MaxValue, 0.5, double.MaxValue, double.NegativeInfinity, true, false,
    ];

    [Theory]
    [MemberData(nameof(Values))]
    public async Task A_value_is_stored_and_read_as_the_driver_does(object value)
    {
        const string text = "select @v, typeof(@v), hex(cast(@v as blob))";
        await using var connection = await OpenAsync();
        await using var command = connection.CreateCommand();
        command.CommandText = text;
        command.Parameters.AddWithValue("@v", value);
        await using var expected = await command.ExecuteReaderAsync();
        Assert.True(await expected.ReadAsync());

        using var statement = Statement(connection, text);
        await using var rows = await statement.Set("@v", value).ReadAsync(default);
        Assert.True(await rows.ReadAsync());

        Assert.Equal([expected.GetValue(0), expected.GetValue(1), expected.GetValue(2)], (object[])[rows.GetValue(0), rows.GetValue(1), rows.GetValue(2)]);
        Assert.Equal(expected.IsDBNull(0), rows.IsDBNull(0));
        Assert.Equal(Attempt(expected, static r => r.GetString(0)), Attempt(rows, static r => r.GetString(0)));
        Assert.Equal(Attempt(expected, static r => r.GetInt64(0)), Attempt(rows, static r => r.GetInt64(0)));
        Assert.Equal(Attempt(expected, static r => r.GetInt32(0)), Attempt(rows, static r => r.GetInt32(0)));
        Assert.Equal(Attempt(expected, static r => r.GetDouble(0)), Attempt(rows, static r => r.GetDouble(0)));
        Assert.Equal(Attempt(expected, static r => r.GetFieldValue<byte[]>(0)), Attempt(rows, static r => r.GetFieldValue<byte[]>(0)));
        Assert.False(await rows.ReadAsync());
    }

    [Fact]
    public async Task It_runs_again_with_the_values_that_it_has()
    {
        await using var connection = await OpenAsync();
        using var create = Statement(connection, "create table t (n integer primary key, name text unique)");
        await create.ExecuteAsync(default);
        using var insert = Statement(connection, "insert into t (n, name) values (@n, @name) returning n");
        Assert.Equal(1, await insert.Set("@n", 1).Set("@name", "one").Set("@unknown", 1).ExecuteAsync(default));
        Assert.Equal(2L, await insert.Set("@n", 2).Set("@name", (object?)null).ScalarAsync(default));
        Assert.Equal(1, await insert.Set("@n", 3).ExecuteAsync(default));

        using var select = Statement(connection, "select n from t where name is null and n < @most order by n");
        Assert.Equal(2L, await select.Set("@most", 10).ScalarAsync(default));
        Assert.Null(await select.Set("@most", 0).ScalarAsync(default));
        using var update = Statement(connection, "update t set name = null where n > @n");
        Assert.Equal(2, await update.Set("@n", 1).ExecuteAsync(default));
        Assert.Equal(0, await update.Set("@n", 5).ExecuteAsync(default));
    }

    [Fact]
    public async Task An_error_is_the_drivers_and_leaves_it_usable()
    {
        await using var connection = await OpenAsync();
        using var create = Statement(connection, "create table t (n integer primary key)");
        await create.ExecuteAsync(default);
        using var insert = Statement(connection, "insert into t (n) values (@n)");
        await insert.Set("@n", 1).ExecuteAsync(default);

        var error = await Assert.ThrowsAsync<SqliteException>(() => insert.ExecuteAsync(default).AsTask());
        Assert.Equal((19, 1555, "SQLite Error 19: 'UNIQUE constraint failed: t.n'."), (error.SqliteErrorCode, error.SqliteExtendedErrorCode, error.Message));
        Assert.Equal(1, await insert.Set("@n", 2).ExecuteAsync(default));
        Assert.Contains("delete", Assert.Throws<ArgumentException>(() => Statement(connection, "select 1; delete from t")).Message, StringComparison.Ordinal);
        Assert.Contains("no such table", Assert.Throws<SqliteException>(() => Statement(connection, "select * from missing")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_value_that_is_missing_or_not_there_is_named()
    {
        await using var connection = await OpenAsync();
        using var statement = Statement(connection, "select @a, @b, null");
        var missing = await Assert.ThrowsAsync<InvalidOperationException>(() => statement.Set("@a", 1).ReadAsync(default).AsTask());
        Assert.Contains("@b", missing.Message, StringComparison.Ordinal);

        await using var rows = await statement.Set("@b", long.MaxValue).ReadAsync(default);
        Assert.Throws<InvalidOperationException>(() => rows.GetInt64(0));
        Assert.True(await rows.ReadAsync());
        Assert.Throws<InvalidOperationException>(() => rows.GetInt64(2));
        Assert.Throws<InvalidOperationException>(() => rows.GetString(2));
        Assert.Throws<OverflowException>(() => rows.GetInt32(1));
        await Assert.ThrowsAsync<InvalidOperationException>(() => statement.ReadAsync(default).AsTask());
        Assert.Equal(1, rows.GetInt32(0));
        await rows.CloseAsync();
        Assert.Throws<InvalidOperationException>(() => rows.Read());
        Assert.Equal(1L, await statement.ScalarAsync(default));
    }

    [Fact]
    public async Task What_is_cancelled_beforehand_does_not_run()
    {
        await using var connection = await OpenAsync();
        using var create = Statement(connection, "create table t (n)");
        await Assert.ThrowsAsync<OperationCanceledException>(() => create.ExecuteAsync(new CancellationToken(canceled: true)).AsTask());
        Assert.Equal(0, await create.ExecuteAsync(default));
    }

    [Fact]
    public async Task Who_may_not_wait_is_told_of_a_lock_at_once_and_who_may_waits_for_it()
    {
        var address = await database.CreateEmptyAsync();
        await using var owner = await OpenAsync(address);
        await using var other = await OpenAsync(address);
        using var begin = Statement(owner, "begin immediate");
        await begin.ExecuteAsync(default);

        using var impatient = Statement(other, "begin immediate");
        var busy = await Assert.ThrowsAsync<SqliteException>(() => impatient.ExecuteAsync(default).AsTask());
        Assert.Equal((5, "SQLite Error 5: 'database is locked'."), (busy.SqliteErrorCode, busy.Message));
        Assert.Throws<SqliteException>(() => impatient.Read());
        using var brief = new SqliteStatement(other, "begin immediate", TimeSpan.FromMilliseconds(20));
        busy = await Assert.ThrowsAsync<SqliteException>(() => brief.ExecuteAsync(default).AsTask());
        Assert.Equal((5, "SQLite Error 5: 'database is locked'."), (busy.SqliteErrorCode, busy.Message));

        using var patient = new SqliteStatement(other, "begin immediate", TimeSpan.MaxValue);
        var waiting = patient.ExecuteAsync(default);
        Assert.False(waiting.IsCompleted);
        using var commit = Statement(owner, "commit");
        await commit.ExecuteAsync(default);
        await waiting;
        Assert.Equal(5, (await Assert.ThrowsAsync<SqliteException>(() => begin.ExecuteAsync(default).AsTask())).SqliteErrorCode);
    }

    [Fact]
    public async Task A_write_in_a_users_transaction_waits_as_long_as_the_users_connection_does()
    {
        await using var test = await database.CreateStoreAsync();
        await using var owner = await OpenAsync(test.ConnectionString);
        using var begin = Statement(owner, "begin immediate");
        using var commit = Statement(owner, "commit");
        await test.Store.SetAsync(["k"], 1);
        await begin.ExecuteAsync(default);

        await using var context = test.CreateContext();
        await context.Database.OpenConnectionAsync();
        await using var transaction = ((SqliteConnection)context.Database.GetDbConnection()).BeginTransaction(deferred: true);
        await context.Database.UseTransactionAsync(transaction);
        var waiting = test.Store.Atomic().Set(["k"], 2).CommitAsync(context);
        Assert.False(waiting.IsCompleted);
        await commit.ExecuteAsync(default);
        await waiting;
        await transaction.CommitAsync();

        Assert.Equal(2, await test.Store.GetAsync<int>(["k"]));
    }

    [Fact]
    public async Task What_is_part_of_a_transaction_does_not_run_without_it()
    {
        await using var connection = await OpenAsync();
        using var statement = new SqliteStatement(connection, "create table t (n)", TimeSpan.Zero, nested: true);
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => statement.ExecuteAsync(default).AsTask());
        Assert.StartsWith("The transaction is over", error.Message, StringComparison.Ordinal);

        await using var transaction = await connection.BeginTransactionAsync();
        await statement.ExecuteAsync(default);
    }

    [Fact]
    public async Task Who_disposes_of_a_running_statement_takes_it_from_nobody()
    {
        var connection = await OpenAsync();
        var statement = Statement(connection, "select column1 from (values (1), (x'0102'), (3))");
        var rows = await statement.ReadAsync(default);
        Assert.True(rows.Read());
        statement.Dispose();
        await connection.DisposeAsync();

        Assert.Equal(1, rows.GetInt64(0));
        Assert.True(rows.Read());
        Assert.Equal([1, 2], rows.GetFieldValue<byte[]>(0));
        Assert.True(rows.Read());
        Assert.False(rows.Read());
        rows.Close();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => statement.ReadAsync(default).AsTask());
    }

    [Theory]
    [InlineData("no library has this name")]
    [InlineData("libsqlite3.so.0")]
    [InlineData("libc")]
    public void Only_the_library_that_answers_the_driver_is_called(string name)
    {
        // The first connection of a process chooses the library.
        using var connection = new SqliteConnection();

        var expected = NativeStatement.Load("e_sqlite3");
        Assert.Equal(NativeLibrary.GetExport(expected, "sqlite3_step"), NativeLibrary.GetExport(NativeStatement.Load(name), "sqlite3_step"));
    }

    private static object? Attempt(DbDataReader reader, Func<DbDataReader, object?> read)
    {
        try
        {
            return read(reader);
        }
        catch (Exception error) when (error is InvalidOperationException or OverflowException)
        {
            return error.GetType();
        }
    }

    private static SqliteStatement Statement(SqliteConnection connection, string text) => new(connection, text, TimeSpan.Zero);

    private async Task<SqliteConnection> OpenAsync(string? address = null)
    {
        var connection = new SqliteConnection(address ?? await database.CreateEmptyAsync());
        await connection.OpenAsync();
        return connection;
    }
}
