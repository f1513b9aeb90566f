using System.Data.Common;
using Kv.Commits;
using Kv.Connections;
using Kv.Messages;

namespace Kv.Sqlite;

/// <summary>Claims and the way back of what lapsed, a row at a time, for a database that lives in the process.</summary>
/// <remarks>
/// A statement that fails takes back what it did itself and leaves the transaction as it was. So where one for many rows fails, each row is
/// tried alone, and the one that is to blame is set aside: in a table that other programs write to, two rows may have one id.
/// </remarks>
internal sealed class RowClaims(Session session, SqliteDriver driver)
{
    private const int ManyAtOnce = 1000;

    /// <summary>Puts back what lapsed and takes what is due, as far as the claim asks for it.</summary>
    public async ValueTask RunAsync(ClaimPlan.Search search, CommitReads reads, long now)
    {
        var claim = search.Claim;
        if (claim.Recover)
        {
            await RecoverAsync(claim, reads, now).ConfigureAwait(false);
        }

        if (claim.FindsSlots)
        {
            foreach (var topic in search.Topics)
            {
                await session.Statement(driver.Sql.Admit).Set("@topic", topic.Topic).Set("@now", now).Set("@limit", ManyAtOnce)
                    .ExecuteAsync(default).ConfigureAwait(false);
            }
        }

        var claimed = new List<ClaimedMessage>();
        foreach (var topic in search.Topics)
        {
            await ClaimAsync(topic, Math.Min(topic.Capacity, search.Limit - claimed.Count), claim, now, claimed).ConfigureAwait(false);
        }

        claimed.ForEach(message => reads.Hold(claim, message));
    }

    private async ValueTask RecoverAsync(ClaimWork claim, CommitReads reads, long now)
    {
        var lapsed = await PositionsAsync(session.Statement(driver.Sql.LapsedPlaces).Set("@now", now).Set("@limit", ManyAtOnce)).ConfigureAwait(false);
        foreach (var row in lapsed)
        {
            if (claim.Recovers is { } only && !(row.Id is string id && only.Contains(id)))
            {
                continue;
            }

            if (await TryAsync(At(driver.Sql.PutLapsedBack, row).Set("@now", now)).ConfigureAwait(false))
            {
                await At(driver.Sql.DeleteLapsed, row).ExecuteAsync(default).ConfigureAwait(false);
                reads.Recovered++;
            }
            else
            {
                // It goes back when that one is gone.
                await At(driver.Sql.SetTwinAside, row).Set("@now", now).ExecuteAsync(default).ConfigureAwait(false);
                claim.FoundStrays = true;
            }
        }
    }

    private async ValueTask ClaimAsync(TopicClaim topic, int left, ClaimWork claim, long now, List<ClaimedMessage> claimed)
    {
        // Whatever the column holds: what is below all numbers is claimed, too.
        object above = double.NegativeInfinity;
        while (left > 0 && await NextPriorityAsync().ConfigureAwait(false) is not (null or DBNull) and var priority)
        {
            List<ClaimedMessage> due = [];
            var reader = await OfDue(driver.Sql.Due).ReadAsync(default).ConfigureAwait(false);
            await using (reader.ConfigureAwait(false))
            {
                while (await reader.ReadAsync(default).ConfigureAwait(false))
                {
                    due.Add(ClaimedRow.Read(reader, claim.Owner));
                }
            }

            if (due.Count > 0)
            {
                if (await TryAsync(Leased(OfDue(driver.Sql.HoldDue))).ConfigureAwait(false))
                {
                    await OfDue(driver.Sql.DeleteDue).ExecuteAsync(default).ConfigureAwait(false);
                }
                else
                {
                    due = await HoldEachAsync(due, await PositionsAsync(OfDue(driver.Sql.DuePlaces)).ConfigureAwait(false)).ConfigureAwait(false);
                }
            }

            claimed.AddRange(due);
            left -= due.Count;
            above = priority!;

            Statement OfDue(string text) =>
                session.Statement(text).Set("@topic", topic.Topic).Set("@priority", priority).Set("@now", now).Set("@limit", left);
        }

        async ValueTask<object?> NextPriorityAsync() => await session.Statement(driver.Sql.NextPriority)
            .Set("@topic", topic.Topic).Set("@above", above).Set("@pause", topic.Pause).Set("@now", now).ScalarAsync(default).ConfigureAwait(false);

        Statement Leased(Statement hold) => hold.Set("@now", now).Set("@lease", topic.LeaseMilliseconds).Set("@owner", claim.Owner);

        async ValueTask<List<ClaimedMessage>> HoldEachAsync(List<ClaimedMessage> messages, List<(object Position, object Id)> rows)
        {
            List<ClaimedMessage> held = [];
            for (var i = 0; i < rows.Count; i++)
            {
                if (await TryAsync(Leased(At(driver.Sql.HoldAt, rows[i]))).ConfigureAwait(false))
                {
                    await At(driver.Sql.DeleteAt, rows[i]).ExecuteAsync(default).ConfigureAwait(false);
                    held.Add(messages[i]);
                }
                else
                {
                    await At(driver.Sql.SetAsideAt, rows[i]).ExecuteAsync(default).ConfigureAwait(false);
                    claim.FoundStrays = true;
                }
            }

            return held;
        }
    }

    private Statement At(string text, (object Position, object Id) row) => session.Statement(text).Set("@place", row.Position).Set("@id", row.Id);

    private static async ValueTask<List<(object Position, object Id)>> PositionsAsync(Statement statement)
    {
        List<(object, object)> rows = [];
        var reader = await statement.ReadAsync(default).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            while (await reader.ReadAsync(default).ConfigureAwait(false))
            {
                rows.Add((reader.GetValue(0), reader.GetValue(1)));
            }
        }

        return rows;
    }

    /// <returns>Whether the database took it; what is the row's fault it refuses.</returns>
    private async ValueTask<bool> TryAsync(Statement statement)
    {
        try
        {
            await statement.ExecuteAsync(default).ConfigureAwait(false);
            return true;
        }
        catch (DbException error) when (driver.Classify(error) == Fault.Permanent)
        {
            return false;
        }
    }
}
