using System.Data.Common;
using Kv.Changes;
using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Engine;
using Kv.Maintenance;
using Kv.Model;
using Kv.Queue;
using Kv.Reads;
using Kv.Sql;
using Kv.Sqlite.CompiledModel;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Sqlite;

/// <summary>The store on SQLite: in a file, whose clients all run on the machine that has it.</summary>
internal sealed class SqliteProvider : KvProvider
{
    public override void Use(IServiceProvider services, DbContextOptionsBuilder builder, string? connectionString) =>
        builder.UseSqlite(connectionString);

    public override Driver CreateDriver(TableNames tables, bool serverClock) => new SqliteDriver(new SqliteSql(tables));

    public override string Settle(string connectionString) => DataSource.Settle(connectionString);

    public override bool IsMemory(string connectionString) => DataSource.IsMemory(connectionString);

    public override void Discard(string connectionString) =>
        MemoryFolder.Delete(new SqliteConnectionStringBuilder(connectionString).DataSource);

    public override string? Refuse(TableNames tables) => tables.Schema is null
        ? null
        : $"KvStoreOptions.Schema is '{tables.Schema}', but the store's database is SQLite, which has no schemas. "
            + "Leave it out, and set KvStoreOptions.TablePrefix.";

    public override void Place(DbContextOptionsBuilder builder, TableNames tables, KvStoreOptions options)
    {
        if (tables.Prefix.Length > 0)
        {
            ((IDbContextOptionsBuilderInfrastructure)builder).AddOrUpdateExtension(new NamedTables(
                tables.Prefix, static services => services.AddScoped<IMigrationsSqlGenerator, PrefixedMigrations>()));

            // The snapshot of the migrations has the default names.
            builder.ConfigureWarnings(static warnings => warnings.Ignore(RelationalEventId.PendingModelChangesWarning));
        }
    }

    public override IModel Model => KvDbContextModel.Instance;

    public override SharedLocks CreateLocks(Driver driver, ILogger logger) =>
        new FileLocks(new SharedReadLock(driver.Sql, TimeProvider.System, logger));

    public override void Opened(DbConnection connection)
    {
        if (connection is SqliteConnection sqlite)
        {
            BusyWait.Shorten(sqlite);
        }
    }

    public override StoreReader CreateReader(Driver driver, ReadRunner runner, StoreClock clock, StoreMetrics metrics) =>
        new SqliteReader(runner, (SqliteDriver)driver, clock, metrics);

    public override CommitWriter CreateWriter(
        Driver driver, Session session, StoreClock clock, KvStoreOptions options, FailPoints failPoints) =>
        new SqliteCommitWriter(session, (SqliteDriver)driver, clock, options, failPoints);

    public override ChangeSource CreateChanges(Driver driver, KvStoreOptions options) => new FileChanges(driver, options.WatchInterval);

    public override QueueReader CreateQueueReader(Driver driver, ReadRunner runner, StoreClock clock) =>
        new SqliteQueueReader(runner, driver, clock);

    public override LeaseKeeper CreateLeaseKeeper(Driver driver, Session session, StoreClock clock, SharedLocks? locks) =>
        new SqliteLeaseKeeper(session, driver, clock, locks);

    public override DatabaseMaintenance CreateMaintenance(KvStoreOptions options, SharedLocks? locks) => new SqliteMaintenance(locks);

    public override async ValueTask<string?> FindLossAsync(SessionPool pool, CancellationToken cancellationToken)
    {
        var session = await pool.RentBesidesAsync(cancellationToken).ConfigureAwait(false);
        var loss = session.FindLoss();
        await pool.ReturnBesidesAsync(session, healthy: loss is null).ConfigureAwait(false);
        return loss;
    }
}
