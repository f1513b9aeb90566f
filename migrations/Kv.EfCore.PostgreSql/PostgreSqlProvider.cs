using Kv.Changes;
using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Engine;
using Kv.PostgreSql.CompiledModel;
using Kv.Queue;
using Kv.Reads;
using Kv.Sql;
using Microsoft.EntityFrameworkCore.Metadata;

namespace Kv.PostgreSql;

/// <summary>The store on PostgreSQL: a round trip away, with a process of the server for each connection.</summary>
internal sealed class PostgreSqlProvider : KvProvider
{
    public override Driver Driver { get; } = new PostgreSqlDriver();

    public override IModel Model => KvDbContextModel.Instance;

    public override bool HasServerClock => true;

    public override StoreReader CreateReader(ReadRunner runner, SessionPool pool, StoreClock clock) => new PostgreSqlReader(runner, pool, Driver, clock);

    public override CommitWriter CreateWriter(Session session, StoreClock clock, KvStoreOptions options, FailPoints failPoints)
    {
        var settings = options.TransactionPooling
            ? KvSql.WriterSettings(PostgreSqlDriver.IdleTime(options), LockWait.First(options.CommandTimeout), local: true)
            : null;
        return new PostgreSqlCommitWriter(session, Driver, clock, settings, failPoints);
    }

    // One claims from a backlog while the other ends what was handled.
    public override CommitPipeline CreateClaims(CommitPipeline pipeline, Func<CommitPipeline> another) => another();

    public override ChangeSource CreateChanges(KvStoreOptions options) => new Notifications(options.Notifies);

    public override QueueReader CreateQueueReader(ReadRunner runner, StoreClock clock) => new PostgreSqlQueueReader(runner, Driver, clock);

    public override LeaseKeeper CreateLeaseKeeper(Session session, StoreClock clock, SharedLocks? locks) => new PostgreSqlLeaseKeeper(session, Driver, clock);
}
