using Kv.Commits;
using Kv.Connections;
using Kv.Messages;

namespace Kv.PostgreSql;

/// <summary>What a group does to find messages for its claims, on a database that takes arrays: they go on where those before came to.</summary>
internal sealed class ClaimSearches(PostgreSqlSql sql, StoreClock clock)
{
    private const int ManyAtOnce = 1000;
    private readonly ClaimFloors _floors = new(clock.Time);

    /// <summary>Hears of a commit of this process, from any thread.</summary>
    public void Observe(CommitGroup group, CommitEffects effects) => _floors.Observe(group, effects);

    /// <summary>Adds searches to a round trip that is about to be sent.</summary>
    public void AddTo(RoundTrip trip, List<ClaimPlan.Search> searches, long now)
    {
        _floors.Begin();
        if (searches.Exists(static s => s.Claim.Recover))
        {
            var recovering = searches.FindAll(static s => s.Claim.Recover);
            var every = recovering.Exists(static s => s.Claim.Recovers is null);
            trip.Add(
                "recover",
                sql.Claims.RecoverAll,
                p => RoundTrip.Set(
                    p,
                    ("@now", now),
                    ("@limit", ManyAtOnce),
                    ("@every", every ? 1 : 0),
                    ("@ids", every ? [] : recovering.SelectMany(static s => s.Claim.Recovers!).ToArray())),
                static (_, reads) => reads.Recovered++);
        }

        foreach (var topic in searches.Where(static s => s.Claim.FindsSlots).SelectMany(static s => s.Topics).Select(static t => t.Topic).Distinct(StringComparer.Ordinal))
        {
            trip.Add("admit", sql.Admit, p => RoundTrip.Set(p, ("@now", now), ("@topic", topic), ("@limit", ManyAtOnce)));
        }

        searches.ForEach(search => Add(trip, search, now));
    }

    private void Add(RoundTrip trip, ClaimPlan.Search search, long now)
    {
        var startedAt = clock.Time.GetTimestamp();
        var from = search.Topics.ToDictionary(static t => t.Topic, t => _floors.Of(t.Topic), StringComparer.Ordinal);
        List<(ClaimFloor Position, ClaimedMessage Message)> found = [];
        trip.Add(
            search.Claim.IsCareful ? "claim each" : "claim",
            search.Claim.IsCareful ? sql.Claims.ClaimEachAll : sql.Claims.ClaimAll,
            p => RoundTrip.Set(
                p,
                ("@now", now),
                ("@topics", search.Topics.Select(static t => t.Topic).ToArray()),
                ("@pauses", search.Topics.Select(static t => t.Pause).ToArray()),
                ("@rooms", search.Topics.Select(static t => t.Capacity).ToArray()),
                ("@leases", search.Topics.Select(static t => t.LeaseMilliseconds).ToArray()),
                ("@floorpriorities", search.Topics.Select(t => from[t.Topic].Priority).ToArray()),
                ("@floortimes", search.Topics.Select(t => from[t.Topic].DueAt).ToArray()),
                ("@floorids", search.Topics.Select(t => from[t.Topic].Id).ToArray()),
                ("@limit", search.Limit),
                ("@one", 1),
                ("@owner", search.Claim.Owner)),
            (reader, _) =>
            {
                var message = ClaimedRow.Read(reader, search.Claim.Owner);
                found.Add((new ClaimFloor(message.Priority, ClaimedRow.ReadDueAt(reader), message.Fence.Id), message));
            },
            reads =>
            {
                // Here, and not by the database, whose processor is the one that a backlog waits for.
                found.Sort(static (one, other) => ClaimFloor.Compare(one.Position, other.Position));
                Dictionary<string, (ClaimFloor Last, int Count)> reached = new(StringComparer.Ordinal);
                foreach (var (position, message) in found)
                {
                    reads.Hold(search.Claim, message);
                    reached[message.Topic] = (position, reached.GetValueOrDefault(message.Topic).Count + 1);
                }

                _floors.Learn(search, from, reached, startedAt);
            });
    }
}
