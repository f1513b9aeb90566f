using Kv.Connections;
using Kv.Messages;
using Kv.Queue;

namespace Kv.PostgreSql;

/// <summary>Extends leases in one statement, as far as their rows are free.</summary>
internal sealed class PostgreSqlLeaseKeeper(Session session, Driver driver, PostgreSqlSql sql, StoreClock clock) : LeaseKeeper(session, driver)
{
    public override Dictionary<Fence, bool> Extend(IReadOnlyCollection<(Fence Fence, TimeSpan Lease)> messages, string owner)
    {
        Dictionary<Fence, bool> held = [];
        Run(Named(sql.ExtendFree, messages, owner), owner, held);

        // What a group is about to end is waited for, one by one: a session that locks no row while it waits for another is part of no
        // deadlock, and the server takes a second to find one, which is a lease for some.
        foreach (var message in messages.Where(m => !held.ContainsKey(m.Fence)))
        {
            Run(Named(sql.Extend, [message], owner), owner, held);
        }

        return held;
    }

    private Statement Named(string text, IReadOnlyCollection<(Fence Fence, TimeSpan Lease)> messages, string owner) => Session.Statement(text)
        .Set("@now", clock.Now).Set("@owner", owner)
        .Set("@ids", messages.Select(static m => m.Fence.Id).ToArray()).Set("@claims", messages.Select(static m => m.Fence.Claim).ToArray())
        .Set("@leases", messages.Select(static m => (long)m.Lease.TotalMilliseconds).ToArray());
}
