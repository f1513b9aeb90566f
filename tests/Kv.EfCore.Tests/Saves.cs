using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Npgsql.EntityFrameworkCore.PostgreSQL.Infrastructure;

namespace Kv.Tests;

/// <summary>Saves whose commands take messages along.</summary>
internal static class Saves
{
    /// <summary>How many commands of a save do so.</summary>
    /// <param name="database">Where.</param>
    /// <param name="messages">How many messages there are.</param>
    /// <param name="retries">Whether a strategy may run the save again.</param>
    public static int Appended(KvDatabase database, int messages, bool retries) =>
        database is PostgresDatabase || (messages == 1 && !retries) ? 1 : 0;

    /// <summary>Saves an order and a message, and keeps the connection: on PostgreSQL the first messages of one go by themselves.</summary>
    public static async Task<ShopOrder> FirstAsync(ShopContext db, SaveCommands commands)
    {
        await db.Database.OpenConnectionAsync();
        var order = db.Add(new ShopOrder { Name = "first" }).Entity;
        db.Kv().Enqueue("m");
        await db.SaveChangesAsync();
        commands.Appended = 0;
        return order;
    }

    /// <summary>Sessions of PostgreSQL that wait for a table's lock: the server has those of other tests' databases, too.</summary>
    public const string Waiting =
        "from pg_locks where not granted and database = (select oid from pg_database where datname = current_database())";

    /// <summary>Saves an order and a message.</summary>
    public static Task<int> AddAsync(ShopContext db, string name)
    {
        db.Add(new ShopOrder { Name = name });
        db.Kv().Enqueue("m");
        return db.SaveChangesAsync();
    }

    /// <summary>Saves several of both, one by one: from the sixth on the command is prepared on PostgreSQL.</summary>
    public static async Task AddManyAsync(ShopContext db, int count)
    {
        for (var i = 0; i < count; i++)
        {
            await AddAsync(db, $"before {i}");
        }
    }

    public static Task SaveAsync(ShopContext db, bool isAsync) => isAsync ? db.SaveChangesAsync() : Task.Run(() => db.SaveChanges());

    /// <summary>Has the database refuse all messages.</summary>
    public static Task<int> RefuseMessagesAsync(KvDatabase database, ShopContext db) => db.Database.ExecuteSqlRawAsync(
        database is PostgresDatabase
            ? """
                create function refuse() returns trigger language plpgsql as 'begin raise exception ''no messages now''; end';
                create trigger refuse before insert on queue for each row execute function refuse()
                """
            : "create trigger refuse before insert on queue begin select raise(abort, 'no messages now'); end");

    /// <summary>Opens a shop.</summary>
    /// <param name="database">Where.</param>
    /// <param name="commands">Counts the commands that take messages along.</param>
    /// <param name="retries">Whether a strategy runs saves again.</param>
    /// <param name="batch">How many changes a command has at the most, on PostgreSQL.</param>
    /// <param name="context">More options of the context, before <c>UseKv()</c>.</param>
    /// <param name="after">More options of the context, after it.</param>
    /// <param name="store">Changes the store's options.</param>
    public static Task<Shop> OpenAsync(
        KvDatabase database,
        SaveCommands commands,
        bool retries = false,
        int batch = 1000,
        Action<DbContextOptionsBuilder>? context = null,
        Action<DbContextOptionsBuilder>? after = null,
        Action<KvStoreOptions>? store = null) => Shop.OpenAsync(
            database,
            options =>
            {
                // EF Core would warn of what it did not ask for.
                options.ConfigureWarnings(static w => w.Throw(RelationalEventId.UnexpectedTrailingResultSetWhenSaving));
                if (database is PostgresDatabase)
                {
                    new NpgsqlDbContextOptionsBuilder(options).MaxBatchSize(batch);
                }

                if (retries)
                {
                    Shop.Retry(options);
                }

                context?.Invoke(options);
            },
            options =>
            {
                options.AddInterceptors(commands);
                after?.Invoke(options);
            },
            store: store);
}
