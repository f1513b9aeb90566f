using Kv.Commits;

namespace Kv.PostgreSql;

/// <summary>The statements that write what a group's members have decided, but for its messages and claims.</summary>
internal sealed class EffectStatements(PostgreSqlSql sql)
{
    /// <param name="trip">What they go out with.</param>
    /// <param name="effects">What was decided.</param>
    /// <param name="now">The time of the commit; 0 for the server's.</param>
    public void AddTo(RoundTrip trip, CommitEffects effects, long now)
    {
        if (effects.Ranges.Count > 0)
        {
            trip.Add("ranges", sql.DeleteRanges, p => RoundTrip.Set(
                p,
                ("@starts", effects.Ranges.Select(static r => r.Start).ToArray()),
                ("@ends", effects.Ranges.Select(static r => r.End).ToArray()),
                ("@one", 1)));
        }

        if (effects.Deletes.Count > 0)
        {
            trip.Add("deletes", sql.DeleteAll, p => RoundTrip.Set(p, ("@keys", effects.Deletes.ToArray())));
        }

        if (effects.Touches.Count > 0)
        {
            trip.Add("touches", sql.TouchAll, p => RoundTrip.Set(
                p,
                ("@keys", effects.Touches.Select(static t => t.Key).ToArray()),
                ("@versionoffsets", effects.Touches.Select(static t => t.VersionOffset).ToArray()),
                ("@expiries", effects.Touches.Select(static t => t.ExpiresAt).ToArray()),
                ("@one", 1)));
        }

        if (effects.Puts.Count > 0)
        {
            var fromCommit = now == 0;
            trip.Add(fromCommit ? "puts from commit" : "puts", fromCommit ? sql.PutAllFromCommit : sql.PutAll, p => RoundTrip.Set(
                p,
                ("@keys", effects.Puts.Select(static e => e.Key).ToArray()),
                ("@values", effects.Puts.Select(static e => e.Value).ToArray()),
                ("@encodings", effects.Puts.Select(static e => e.Encoding).ToArray()),
                ("@versionoffsets", effects.Puts.Select(static e => e.VersionOffset).ToArray()),
                ("@expiries", effects.Puts.Select(static e => e.ExpiresAt).ToArray())));
        }

        // Slots that are freed first: a message that comes then may find one.
        if (effects.Acknowledged.Count > 0)
        {
            trip.AddFenced(
                "end", sql.EndAll, sql.EndMany, effects.Acknowledged.Select(static a => a.Fence), static reads => reads.Released);
        }

        if (effects.Removed.Count > 0)
        {
            trip.Add("remove", sql.RemoveAll, p => RoundTrip.Set(p, ("@ids", effects.Removed.ToArray())), RoundTrip.Ignore);
        }

        foreach (var stray in effects.Cleared)
        {
            trip.Add("clear", sql.DeleteAt, p => RoundTrip.Set(p, ("@place", stray.Position), ("@id", stray.Id)));
        }

        if (effects.Unblocked.Count > 0)
        {
            trip.Add("unblock", sql.UnblockStranded, p => RoundTrip.Set(
                p,
                ("@topics", effects.Unblocked.Select(static g => g.Topic).ToArray()),
                ("@groups", effects.Unblocked.Select(static g => g.Key).ToArray())));
        }
    }
}
