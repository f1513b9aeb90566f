using Kv.TestKit;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.Tests;

/// <summary>What EF Core tells of saves without an interceptor, which would be a reason for a transaction.</summary>
internal sealed class SaveLog
{
    /// <summary>How many transactions were begun.</summary>
    public int Transactions { get; private set; }

    /// <summary>How many commands took messages along.</summary>
    public int Appended { get; private set; }

    public void Listen(DbContextOptionsBuilder options) => options.LogTo(
        static (id, _) => id == RelationalEventId.TransactionStarted || id == RelationalEventId.CommandExecuted
            || id == RelationalEventId.CommandError,
        data =>
        {
            if (data is CommandEventData command)
            {
                Appended += command.Command.CommandText.Contains("@efkv", StringComparison.Ordinal) ? 1 : 0;
            }
            else
            {
                Transactions++;
            }
        });

    public void Reset() => (Transactions, Appended) = (0, 0);

    /// <summary>A save took its messages along, on PostgreSQL without a transaction.</summary>
    public void AssertAlone(KvDatabase database, int saves = 1)
    {
        Assert.Equal(database is PostgresDatabase ? 0 : saves, Transactions);
        if (database is PostgresDatabase)
        {
            Assert.Equal(saves, Appended);
        }
    }

    /// <summary>Opens a shop, of which this is told.</summary>
    /// <param name="database">Where.</param>
    /// <param name="context">More options of the context, before <c>UseKv()</c>.</param>
    /// <param name="connectionString">A database that has the tables already; a new one by default.</param>
    public Task<Shop> OpenAsync(KvDatabase database, Action<DbContextOptionsBuilder>? context = null, string? connectionString = null) =>
        Shop.OpenAsync(
            database,
            options =>
            {
                Listen(options);
                context?.Invoke(options);
            },
            connectionString: connectionString);

    /// <summary>Saves an order and a message, and keeps the connection: on PostgreSQL the first messages of one go by themselves.</summary>
    public async Task<ShopContext> FirstAsync(Shop shop)
    {
        var db = shop.Open();
        await db.Database.OpenConnectionAsync();
        db.Add(new ShopOrder { Name = "first" });
        db.Kv().Enqueue("m");
        await db.SaveChangesAsync();
        Assert.Equal(1, Transactions);
        Reset();
        return db;
    }
}
