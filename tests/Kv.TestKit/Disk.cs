using System.Data.Common;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Kv.TestKit;

/// <summary>
/// A disk that a test can fill: what is written past the room that is left is refused with the database's own error for it.
/// </summary>
/// <remarks>Triggers on the store's tables refuse deletions too, as a log does that cannot grow.</remarks>
public abstract class Disk
{
    protected static readonly string[] Tables = ["kv", "queue", "queue_running", "data_version"];

    /// <summary>Puts a database on the disk.</summary>
    public abstract Task InstallAsync(KvTestStore test);

    /// <summary>What a store on the disk needs besides.</summary>
    public virtual void Configure(IServiceCollection services)
    {
    }

    /// <summary>Leaves room for so many writes of statements or rows.</summary>
    public abstract Task LeaveAsync(long writes);

    public Task FillAsync() => LeaveAsync(0);

    public Task FreeAsync() => LeaveAsync(long.MaxValue / 2);

    public abstract bool IsCause(Exception? error);

    /// <summary>An error is the one that says that the disk is full, and what to do.</summary>
    public void AssertNamed(Exception? error)
    {
        var named = Assert.IsType<KvException>(error);
        Assert.True(IsCause(named.InnerException), named.ToString());
        Assert.Equal(KvErrorKind.Unavailable, named.Kind);
        Assert.Contains(named.InnerException!.Message, named.Message, StringComparison.Ordinal);
        Assert.Contains("Nothing was written; make room", named.Message, StringComparison.Ordinal);
    }
}

public sealed class SqliteDisk : Disk
{
    private const int Full = 13;
    private readonly Opened _opened = new();

    /// <summary>
    /// How many pages a file may have; 0 for no limit. SQLite refuses what needs more, and rolls back, as on a disk without room.
    /// </summary>
    public int MaxPages { get => _opened.MaxPages; set => _opened.MaxPages = value; }

    public override void Configure(IServiceCollection services) =>
        services.ConfigureDbContext<KvDbContext>(db => db.AddInterceptors(_opened));

    public override async Task InstallAsync(KvTestStore test)
    {
        foreach (var table in Tables)
        {
            foreach (var change in (string[])["insert", "update", "delete"])
            {
                await test.ExecuteAsync($"create trigger {table}_{change} before {change} on {table} begin select take_room(); end");
            }
        }
    }

    public override Task LeaveAsync(long writes)
    {
        Interlocked.Exchange(ref _opened.Room, writes);
        return Task.CompletedTask;
    }

    public override bool IsCause(Exception? error) => error is SqliteException { SqliteErrorCode: Full };

    private sealed class Opened : DbConnectionInterceptor
    {
        public long Room = long.MaxValue / 2;

        public int MaxPages { get; set; }

        public override void ConnectionOpened(DbConnection connection, ConnectionEndEventData eventData)
        {
            var sqlite = (SqliteConnection)connection;
            sqlite.CreateFunction(
                "take_room", () => Interlocked.Decrement(ref Room) >= 0 ? 0 : throw new SqliteException("database or disk is full", Full));
            if (MaxPages > 0)
            {
                using var command = sqlite.CreateCommand();
                command.CommandText = $"pragma max_page_count = {MaxPages}";
                command.ExecuteNonQuery();
            }
        }

        public override Task ConnectionOpenedAsync(
            DbConnection connection, ConnectionEndEventData eventData, CancellationToken cancellationToken = default)
        {
            ConnectionOpened(connection, eventData);
            return Task.CompletedTask;
        }
    }
}

public sealed class PostgresDisk : Disk
{
    // A sequence forgets nothing when a transaction is rolled back.
    private const string Install = """
        create sequence room increment by -1 minvalue -9000000000000000000 maxvalue 9000000000000000000 start with 9000000000000000000;
        create function take_room() returns trigger language plpgsql as $$
        begin
            if nextval('room') < 0 then
                raise exception 'could not extend file "base/1/2": No space left on device'
                    using errcode = 'disk_full', hint = 'Check free disk space.';
            end if;
            return null;
        end $$;
        """;

    private string _connectionString = "";

    public override async Task InstallAsync(KvTestStore test)
    {
        _connectionString = test.ConnectionString;
        await test.ExecuteAsync(Install);
        foreach (var table in Tables)
        {
            await test.ExecuteAsync(
                $"create trigger take_room before insert or update or delete on {table} for each statement execute function take_room()");
        }
    }

    public override async Task LeaveAsync(long writes)
    {
        await using var connection = new NpgsqlConnection(_connectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("select setval('room', $1)", connection);
        command.Parameters.Add(new NpgsqlParameter { Value = writes });
        await command.ExecuteNonQueryAsync();
    }

    public override bool IsCause(Exception? error) => error is PostgresException { SqlState: PostgresErrorCodes.DiskFull };
}
