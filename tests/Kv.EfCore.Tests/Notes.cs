using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Kv.Tests;

internal sealed class Note
{
    public int Id { get; private set; }

    public required string Text { get; init; }
}

/// <summary>A context of the application's own.</summary>
internal sealed class NotesContext(DbContextOptions<NotesContext> options) : DbContext(options)
{
    public DbSet<Note> Notes => Set<Note>();
}

/// <summary>Contexts of the application's own, and what a store says that is asked to write on one of another database.</summary>
internal static class NotesContexts
{
    public static NotesContext Notes(this KvDatabase database, string connectionString)
    {
        var options = new DbContextOptionsBuilder<NotesContext>();
        database.Configure(options, connectionString);
        return new NotesContext(options.Options);
    }

    /// <summary>A context on a database that has a table of its own.</summary>
    public static async Task<NotesContext> NotesAsync(this KvDatabase database, string connectionString)
    {
        var context = database.Notes(connectionString);
        await context.Database.ExecuteSqlRawAsync(context.Database.GenerateCreateScript());
        return context;
    }

    public static async Task<InvalidOperationException> AssertRefusedAsync(
        this KvTestStore test, DbContext context, Action<KvAtomic>? write = null)
    {
        var atomic = test.Store.Atomic();
        (write ?? (static w => w.Set(["wrong"], 1).Enqueue("wrong")))(atomic);
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => atomic.CommitAsync(context).AsTask());
        Assert.Contains("one commit spans one database", error.Message, StringComparison.Ordinal);
        Assert.Contains(NameOf(test.ConnectionString), error.Message, StringComparison.Ordinal);
        Assert.Contains(NameOf(context.Database.GetConnectionString()!), error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("Password", error.Message, StringComparison.OrdinalIgnoreCase);
        return error;
    }

    private static string NameOf(string connectionString) => connectionString.Contains("Host=", StringComparison.Ordinal)
        ? new NpgsqlConnectionStringBuilder(connectionString).Database!
        : Path.GetFileName(new SqliteConnectionStringBuilder(connectionString).DataSource);
}
