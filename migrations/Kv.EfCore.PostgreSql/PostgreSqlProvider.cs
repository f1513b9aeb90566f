using Kv.Changes;
using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Engine;
using Kv.Maintenance;
using Kv.PostgreSql.CompiledModel;
using Kv.Queue;
using Kv.Reads;
using Kv.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Kv.PostgreSql;

/// <summary>The store on PostgreSQL: a round trip away, with a process of the server for each connection.</summary>
internal sealed class PostgreSqlProvider : KvProvider
{
    public override void Use(IServiceProvider services, DbContextOptionsBuilder builder, string? connectionString)
    {
        if (connectionString is not null)
        {
            builder.UseNpgsql(connectionString);
            return;
        }

        builder.UseNpgsql(services.GetService<NpgsqlDataSource>() ?? throw new InvalidOperationException(
            "The store is on PostgreSQL, and neither its configuration has a ConnectionString or a ConnectionName nor the services an "
            + "NpgsqlDataSource. Add one of them."));
    }

    public override Driver CreateDriver(TableNames tables, bool serverClock) =>
        new PostgreSqlDriver(new PostgreSqlSql(tables, serverClock));

    public override string? Refuse(TableNames tables) => tables.Prefix.Length == 0
        ? null
        : $"KvStoreOptions.TablePrefix is '{tables.Prefix}', but the store's database is PostgreSQL, where a schema keeps tables apart. "
            + "Leave it out, and set KvStoreOptions.Schema.";

    public override void Place(DbContextOptionsBuilder builder, TableNames tables, KvStoreOptions options)
    {
        // A pooler lends the session to other clients next, which would search there. The engine's statements name the schema; LINQ does
        // not.
        if (tables.Schema is { } schema && !options.TransactionPooling)
        {
            builder.AddInterceptors(new SearchPath(schema));
        }
    }

    public override void FindPrimary(DbContextOptionsBuilder builder) => Hosts.FindPrimary(builder);

    public override DbContextOptions<KvDbContext> OnReplica(DbContextOptions<KvDbContext> options, string connectionString) =>
        Hosts.Move(options, connectionString);

    public override Driver CreateReplicaDriver(TableNames tables, string connectionString) =>
        new PostgreSqlDriver(new PostgreSqlSql(tables, serverClock: false), new NpgsqlConnectionStringBuilder(connectionString));

    public override IModel Model => KvDbContextModel.Instance;

    public override string ServerTime => ServerSql.Time;

    public override StoreReader CreateReader(Driver driver, ReadRunner runner, StoreClock clock, StoreMetrics metrics) =>
        new PostgreSqlReader(runner, (PostgreSqlDriver)driver, clock, metrics);

    public override CommitWriter CreateWriter(
        Driver driver, Session session, StoreClock clock, KvStoreOptions options, FailPoints failPoints)
    {
        var settings = options.TransactionPooling
            ? ServerSql.WriterSettings(PostgreSqlDriver.IdleTime(options), LockWait.First(options.CommandTimeout), local: true)
            : null;
        return new PostgreSqlCommitWriter(session, (PostgreSqlDriver)driver, clock, settings, failPoints);
    }

    // One claims from a backlog while the other ends what was handled.
    public override CommitPipeline CreateClaims(CommitPipeline pipeline, Func<CommitPipeline> another) => another();

    public override ChangeSource CreateChanges(Driver driver, KvStoreOptions options) =>
        new Notifications(options.Notifies, ((PostgreSqlDriver)driver).Sql);

    public override QueueReader CreateQueueReader(Driver driver, ReadRunner runner, StoreClock clock) =>
        new PostgreSqlQueueReader(runner, driver, clock);

    public override LeaseKeeper CreateLeaseKeeper(Driver driver, Session session, StoreClock clock, SharedLocks? locks) =>
        new PostgreSqlLeaseKeeper(session, driver, clock);

    public override DatabaseMaintenance CreateMaintenance(KvStoreOptions options, SharedLocks? locks) =>
        new PostgreSqlMaintenance(new PostgreSqlMaintenanceSql(options.Tables), hasSession: !options.TransactionPooling);
}
