using Kv.Connections;
using Kv.Messages;
using Kv.Queue;

namespace Kv.PostgreSql;

/// <summary>Extends leases in one statement, as far as their rows are free.</summary>
internal sealed class PostgreSqlLeaseKeeper(Session session, Driver driver, StoreClock clock) : LeaseKeeper(session, driver)
{
    public override Dictionary<Fence, LeaseAnswer> Extend(IReadOnlyCollection<(Fence Fence, TimeSpan Lease)> messages, string owner)
    {
        Dictionary<Fence, LeaseAnswer> held = [];
        Run(
            Session.Statement(Driver.Sql.Extend)
                .Set("@now", clock.Now).Set("@owner", owner)
                .Set("@ids", messages.Select(static m => m.Fence.Id).ToArray())
                .Set("@claims", messages.Select(static m => m.Fence.Claim).ToArray())
                .Set("@leases", messages.Select(static m => (long)m.Lease.TotalMilliseconds).ToArray()),
            owner,
            held);
        return held;
    }
}
