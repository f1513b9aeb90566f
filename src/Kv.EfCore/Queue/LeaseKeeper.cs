using System.Data.Common;
using Kv.Connections;
using Kv.Messages;
using Kv.Sql;

namespace Kv.Queue;

/// <summary>
/// Extends leases on a connection of its own and on the caller's own thread, so that handlers which block threads or take every pooled
/// connection cannot hold them up.
/// </summary>
internal sealed class LeaseKeeper(Session session, KvDialect dialect, StoreClock clock, WriteTurn? turn) : IDisposable
{
    /// <summary>Extends the leases of held messages.</summary>
    /// <returns>Those that are still held, and of each whether it is to be cancelled.</returns>
    /// <exception cref="DbException">The database is away or locked (<see cref="IsBusy"/>): nothing was extended.</exception>
    public Dictionary<Fence, bool> Extend(IReadOnlyCollection<(Fence Fence, TimeSpan Lease)> messages, string owner)
    {
        Dictionary<Fence, bool> held = [];
        var extend = session.Statement(dialect.Sql.Extend(clock.ServerDecides)).Set("@now", clock.Now).Set("@owner", owner);
        if (dialect.Sql.Arrays)
        {
            var free = session.Statement(KvSql.ExtendFree(clock.ServerDecides)).Set("@now", clock.Now).Set("@owner", owner);
            Read(Name(free, messages));

            // What a group is about to end is waited for, one by one: who holds no row while he waits for another is part of no deadlock, and
            // the server takes a second to find one, which is a lease for some.
            foreach (var message in messages.Where(m => !held.ContainsKey(m.Fence)))
            {
                Read(Name(extend, [message]));
            }

            return held;
        }

        // Who has the turn may himself be waiting for another process: after a while it is tried without.
        var entered = turn?.TryEnter(messages.Min(static m => m.Lease) / 6) ?? false;
        try
        {
            ExtendEach();
            return held;
        }
        finally
        {
            if (entered)
            {
                turn!.Leave();
            }
        }

        static Statement Name(Statement statement, IReadOnlyCollection<(Fence Fence, TimeSpan Lease)> messages) => statement
            .Set("@ids", messages.Select(static m => m.Fence.Id).ToArray()).Set("@claims", messages.Select(static m => m.Fence.Claim).ToArray())
            .Set("@leases", messages.Select(static m => (long)m.Lease.TotalMilliseconds).ToArray());

        void ExtendEach()
        {
            if (session.FindLoss() is { } loss)
            {
                throw new KvException(KvErrorKind.Unavailable, loss);
            }

            Execute(dialect.Sql.BeginWrite);
            try
            {
                extend.Set("@now", clock.Now);
                foreach (var (fence, lease) in messages)
                {
                    Read(extend.Set("@id", fence.Id).Set("@claim", fence.Claim).Set("@lease", (long)lease.TotalMilliseconds));
                }

                Execute(KvSql.Commit);
            }
            catch
            {
                TryRollback();
                throw;
            }
        }

        void Read(Statement statement)
        {
            using var reader = statement.Read();
            while (reader.Read())
            {
                held.Add(new Fence(reader.GetString(0), owner, reader.GetInt64(1)), reader.GetInt64(2) == 1);
            }
        }
    }

    /// <summary>Whether others were in the way: the same connection may try again.</summary>
    public bool IsBusy(Exception error) => dialect.Classify(error) == Fault.Busy;

    /// <summary>Hears of an error for which it is given up.</summary>
    public void Blame(Exception error) => session.Blame(error);

    public void Dispose() => session.Dispose();

    private void Execute(string text)
    {
        using var reader = session.Statement(text).Read();
    }

    private void TryRollback()
    {
        try
        {
            Execute(KvSql.Rollback);
        }
        catch (DbException)
        {
            // The cause is on its way to the caller, who closes this session.
        }
    }
}
