using System.Text.RegularExpressions;
using Microsoft.EntityFrameworkCore;

namespace Kv.TestKit;

/// <summary>
/// Files in which an application has tables of the names that the store's have by default, so that the store's begin with a prefix.
/// </summary>
public sealed partial class PrefixedSqliteDatabase : SqliteDatabase
{
    public const string Prefix = "App_";

    public override void Place(KvStoreOptions options) => options.TablePrefix = Prefix;

    public override string Named(string sql) => Tables().Replace(sql, Prefix + "$0");

    [GeneratedRegex(@"\b(data_version|queue_running|queue|kv_changes|kv_feed|kv)\b", RegexOptions.ExplicitCapture)]
    private static partial Regex Tables();

    protected override async Task MigrateAsync(string connectionString)
    {
        await OwnTables.CreateAsync(this, connectionString);
        await base.MigrateAsync(connectionString);
    }
}

/// <summary>Databases in which an application has such tables, so that the store's are in a schema.</summary>
public sealed class SchemaPostgresDatabase : PostgresDatabase
{
    public const string Schema = "Store_1";

    public override void Place(KvStoreOptions options) => options.Schema = Schema;

    protected override async Task MigrateAsync(string connectionString)
    {
        await OwnTables.CreateAsync(this, connectionString);
        await base.MigrateAsync(connectionString);
    }
}

/// <summary>An application's tables that are called like those of a store.</summary>
internal static class OwnTables
{
    public static async Task CreateAsync(KvDatabase database, string connectionString)
    {
        var options = new DbContextOptionsBuilder<DbContext>();
        database.Configure(options, connectionString);
        await using var context = new DbContext(options.Options);
        if (!await context.Database.CanConnectAsync())
        {
            // A file that is not there yet.
            await context.Database.OpenConnectionAsync();
        }

        await context.Database.ExecuteSqlRawAsync("""
            create table kv (place text);
            create table data_version (place text);
            create table queue (place text);
            create table queue_running (place text);
            create table kv_changes (place text);
            create table kv_feed (place text);
            create table __kv_migrations (place text);
            create table migration_state (place text)
            """);
    }
}
