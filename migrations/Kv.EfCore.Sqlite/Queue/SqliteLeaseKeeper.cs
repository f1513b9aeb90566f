using System.Data.Common;
using Kv.Connections;
using Kv.Messages;
using Kv.Queue;
using Kv.Sql;

namespace Kv.Sqlite;

/// <summary>Extends leases one by one in a transaction behind the write gate.</summary>
internal sealed class SqliteLeaseKeeper(Session session, Driver driver, StoreClock clock, SharedLocks? locks) : LeaseKeeper(session, driver)
{
    public override Dictionary<Fence, LeaseAnswer> Extend(IReadOnlyCollection<(Fence Fence, TimeSpan Lease)> messages, string owner)
    {
        // What is inside the gate may itself be waiting for another process: after a while it is tried without.
        var entered = locks?.TryEnter(messages.Min(static m => m.Lease) / 6) ?? false;
        try
        {
            return ExtendEach(messages, owner);
        }
        finally
        {
            if (entered)
            {
                locks!.Leave();
            }
        }
    }

    private Dictionary<Fence, LeaseAnswer> ExtendEach(IReadOnlyCollection<(Fence Fence, TimeSpan Lease)> messages, string owner)
    {
        if (Session.FindLoss() is { } loss)
        {
            throw new KvException(KvErrorKind.Unavailable, loss);
        }

        Dictionary<Fence, LeaseAnswer> held = [];
        var extend = Session.Statement(Driver.Sql.Extend).Set("@owner", owner);
        Execute(Driver.Sql.BeginWrite);
        try
        {
            extend.Set("@now", clock.Now);
            foreach (var (fence, lease) in messages)
            {
                Run(extend.Set("@id", fence.Id).Set("@claim", fence.Claim).Set("@lease", (long)lease.TotalMilliseconds), owner, held);
            }

            Execute(KvSql.Commit);
            return held;
        }
        catch
        {
            TryRollback();
            throw;
        }
    }

    private void Execute(string text)
    {
        using var reader = Session.Statement(text).Read();
    }

    private void TryRollback()
    {
        try
        {
            Execute(KvSql.Rollback);
        }
        catch (DbException)
        {
            // The cause is on its way to the heartbeat, which closes this session.
        }
    }
}
