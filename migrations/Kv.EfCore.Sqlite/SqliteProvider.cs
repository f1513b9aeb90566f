using Kv.Changes;
using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Engine;
using Kv.Queue;
using Kv.Reads;
using Kv.Sqlite.CompiledModel;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.Extensions.Logging;

namespace Kv.Sqlite;

/// <summary>The store on SQLite: in a file, whose clients all run on the machine that has it.</summary>
internal sealed class SqliteProvider : KvProvider
{
    public override Driver Driver { get; } = new SqliteDriver();

    public override IModel Model => KvDbContextModel.Instance;

    public override bool HasServerClock => false;

    // A column of SQLite holds what is put in, with a type that is but a wish. Texts sort above all numbers, and blobs above all texts, so the
    // indexes find them. A due time that is no number is past, and each has one of its own, since it is half of the key.
    public override IReadOnlyList<(string Find, string Mend)> Mends { get; } =
    [
        ("select 1 from queue where ts >= '' limit 1", "update or ignore queue set ts = -rowid where ts >= '' returning id"),
        ("select 1 from queue where id >= x'' limit 1", "update or ignore queue set id = lower(hex(id)) where id >= x'' returning id"),
        ("select 1 from queue where topic >= x'' limit 1", "update queue set topic = cast(topic as text) where topic >= x'' returning id"),
        ("select 1 from queue where topic = @topic and group_key >= x'' limit 1",
            "update queue set group_key = cast(group_key as text) where topic = @topic and group_key >= x'' returning id"),
        ("select 1 from queue_running where deadline >= '' limit 1", "update or ignore queue_running set deadline = @now where deadline >= '' returning id"),
        ("select 1 from queue_running where id >= x'' limit 1", "update or ignore queue_running set id = lower(hex(id)) where id >= x'' returning id"),
    ];

    public override SharedLocks CreateLocks(ILogger logger) => new FileLocks(new SharedReadLock(Driver.Sql, TimeProvider.System, logger));

    public override StoreReader CreateReader(ReadRunner runner, SessionPool pool, StoreClock clock) => new SqliteReader(runner, pool, Driver, clock);

    public override CommitWriter CreateWriter(Session session, StoreClock clock, KvStoreOptions options, FailPoints failPoints) =>
        new SqliteCommitWriter(session, Driver, clock, options.CommandTimeout, failPoints);

    public override ChangeSource CreateChanges(KvStoreOptions options) => new FileChanges(Driver, options.WatchInterval);

    public override QueueReader CreateQueueReader(ReadRunner runner, StoreClock clock) => new SqliteQueueReader(runner, Driver, clock);

    public override LeaseKeeper CreateLeaseKeeper(Session session, StoreClock clock, SharedLocks? locks) => new SqliteLeaseKeeper(session, Driver, clock, locks);

    public override async ValueTask<string?> FindLossAsync(SessionPool pool, CancellationToken cancellationToken)
    {
        var session = await pool.RentBesidesAsync(cancellationToken).ConfigureAwait(false);
        var loss = session.FindLoss();
        await pool.ReturnBesidesAsync(session, healthy: loss is null).ConfigureAwait(false);
        return loss;
    }
}
