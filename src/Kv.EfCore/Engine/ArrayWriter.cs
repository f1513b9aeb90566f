using System.Data.Common;

namespace Kv.Engine;

/// <summary>
/// Runs groups with array parameters, for a database that is a round trip away: two round trips for a group of any size, and one when no
/// write of the group depends on what is stored.
/// </summary>
internal sealed class ArrayWriter(Session session, KvDialect dialect, StoreClock clock, FailPoints failPoints) : GroupWriter(session, failPoints)
{
    private const int LapsedAtOnce = 1000;
    private readonly List<Step> _steps = [];
    private long _now;

    private bool ServerClock => clock.ServerJudgesQueues;

    public override async ValueTask<GroupReads> BeginAsync(Group group, CommitMark mark, CancellationToken cancellationToken)
    {
        CommitSent = false;
        _now = clock.Now;
        _steps.Clear();
        Add("begin", IsNested ? KvSql.Savepoint : dialect.Sql.BeginWrite);
        if (group.Writes.Count > 0)
        {
            AddBump(group.Writes.Count, mark);
        }

        var reads = new GroupReads { Now = _now };
        var dependent = group.Writes.Exists(static w => w.Write.Reads);
        if (dependent)
        {
            AddReads(group);
        }

        AddQueueWork(group);
        if (dependent)
        {
            await RunAsync(reads, cancellationToken).ConfigureAwait(false);
        }

        return reads;
    }

    public override async ValueTask CommitAsync(GroupReads reads, GroupEffects effects)
    {
        AddEffects(effects);
        Add("commit", IsNested ? KvSql.ReleaseSavepoint : KvSql.Commit);
        await FailPoints.HitAsync(FailPoints.BeforeCommit).ConfigureAwait(false);
        CommitSent = !IsNested;
        await RunAsync(reads, CancellationToken.None).ConfigureAwait(false);
        await FailPoints.HitAsync(FailPoints.AfterCommit).ConfigureAwait(false);
    }

    protected override async ValueTask BeginTransactionAsync(CancellationToken cancellationToken) =>
        await Session.ExecuteAsync(dialect.Sql.BeginWrite, cancellationToken).ConfigureAwait(false);

    private void AddBump(int count, CommitMark mark)
    {
        if (IsNested)
        {
            Add("bump", KvSql.Bump, p => Set(p, ("@count", count)), ReadVersion);
        }
        else
        {
            if (mark.Sequence == 1)
            {
                Add("prune", KvSql.DeleteOldMarks, p => Set(p, ("@before", CommitMarks.Before(_now))));
            }

            Add("bump+mark", KvSql.BumpAndMark, p => Set(p, ("@count", count), ("@writer", mark.Writer), ("@sequence", mark.Sequence)), ReadVersion);
        }

        static void ReadVersion(DbDataReader reader, GroupReads reads) => reads.LastVersion = reader.GetInt64(0);
    }

    private void AddReads(Group group)
    {
        var keys = KeysToRead(group);
        if (keys.Count > 0)
        {
            Add("read", KvSql.ReadRows, p => Set(p, ("@keys", keys.ToArray())), static (reader, reads) => reads.Rows.Add(
                reader.GetFieldValue<byte[]>(0),
                new StoredRow(reader.GetInt64(1), reader.GetInt32(2), reader.GetInt64(3), reader.IsDBNull(4) ? null : reader.GetFieldValue<byte[]>(4))));
        }

        if (FencesToCheck(group) is { Count: > 0 } fences)
        {
            AddFenced("fence", KvSql.FenceAll, fences, static reads => reads.Held);
        }
    }

    private void AddQueueWork(Group group)
    {
        if (group.Completions.Count > 0)
        {
            AddFenced("complete", KvSql.CompleteAll, group.Completions.ConvertAll(static c => c.Fence), static reads => reads.Released);
        }

        if (group.Requeues.Count > 0)
        {
            var requeues = group.Requeues;
            AddFenced("requeue", KvSql.RequeueAll(ServerClock), requeues.ConvertAll(static r => r.Fence), static reads => reads.Released, p => Set(
                p,
                ("@now", _now),
                ("@delays", requeues.Select(static r => r.Delay).ToArray()),
                ("@backoffs", requeues.Select(static r => r.Backoff).ToArray()),
                ("@attempts", requeues.Select(static r => r.Attempt).ToArray())));
        }

        if (group.Claims.Exists(static c => c.Recover))
        {
            Add("recover", KvSql.RecoverAll(ServerClock), p => Set(p, ("@now", _now), ("@limit", LapsedAtOnce)), static (_, reads) => reads.Recovered++);
        }

        foreach (var claim in group.Claims)
        {
            AddClaim(claim);
        }
    }

    private void AddClaim(ClaimWork claim) => Add(
        "claim",
        KvSql.ClaimAll(ServerClock),
        p => Set(p, ("@now", _now), ("@topics", claim.Topics.ToArray()), ("@limit", claim.Limit), ("@lease", claim.Lease), ("@owner", claim.Owner)),
        (reader, reads) =>
        {
            if (!reads.Claimed.TryGetValue(claim, out var claimed))
            {
                reads.Claimed.Add(claim, claimed = []);
            }

            claimed.Add(ReadMessage(reader, 0, claim.Owner, reader.GetInt64(9), reader.GetInt32(8)));
        });

    private void AddEffects(GroupEffects effects)
    {
        if (effects.Ranges.Count > 0)
        {
            Add("ranges", KvSql.DeleteRanges, p => Set(
                p, ("@starts", effects.Ranges.Select(static r => r.Start).ToArray()), ("@ends", effects.Ranges.Select(static r => r.End).ToArray())));
        }

        if (effects.Deletes.Count > 0)
        {
            Add("deletes", KvSql.DeleteAll, p => Set(p, ("@keys", effects.Deletes.ToArray())));
        }

        if (effects.Touches.Count > 0)
        {
            Add("touches", KvSql.TouchAll, p => Set(
                p,
                ("@keys", effects.Touches.Select(static t => t.Key).ToArray()),
                ("@backs", effects.Touches.Select(static t => t.Back).ToArray()),
                ("@expiries", effects.Touches.Select(static t => t.ExpiresAt).ToArray())));
        }

        if (effects.Puts.Count > 0)
        {
            Add("puts", KvSql.PutAll, p => Set(
                p,
                ("@keys", effects.Puts.Select(static e => e.Key).ToArray()),
                ("@values", effects.Puts.Select(static e => e.Value).ToArray()),
                ("@encodings", effects.Puts.Select(static e => e.Encoding).ToArray()),
                ("@backs", effects.Puts.Select(static e => e.Back).ToArray()),
                ("@expiries", effects.Puts.Select(static e => e.ExpiresAt).ToArray())));
        }

        if (effects.Messages is { Count: > 0 } messages)
        {
            Add("enqueue", KvSql.EnqueueAll(ServerClock), p => Set(
                p,
                ("@now", _now),
                ("@ids", messages.Select(static m => m.Id).ToArray()),
                ("@datas", messages.Select(static m => m.Data).ToArray()),
                ("@backoffs", messages.Select(static m => m.Backoff).ToArray()),
                ("@undelivereds", messages.Select(static m => m.Undelivered).ToArray()),
                ("@topics", messages.Select(static m => m.Topic).ToArray()),
                ("@types", messages.Select(static m => m.Type).ToArray()),
                ("@encodings", messages.Select(static m => m.Encoding).ToArray()),
                ("@delays", messages.Select(static m => m.Delay).ToArray()),
                ("@traces", messages.Select(static m => m.Trace).ToArray())));
        }

        if (effects.Acknowledged.Count > 0)
        {
            AddFenced("acknowledge", KvSql.CompleteAll, effects.Acknowledged, static reads => reads.Released);
        }
    }

    private void AddFenced(
        string name, string text, IEnumerable<Fence> of, Func<GroupReads, HashSet<Fence>> found, Action<DbParameterCollection>? more = null)
    {
        var fences = of.ToArray();
        Add(
            name,
            text,
            p =>
            {
                Set(
                    p,
                    ("@ids", fences.Select(static f => f.Id).ToArray()),
                    ("@owners", fences.Select(static f => f.Owner).ToArray()),
                    ("@claims", fences.Select(static f => f.Claim).ToArray()));
                more?.Invoke(p);
            },
            (reader, reads) =>
            {
                var (id, claim) = (reader.GetString(0), reader.GetInt64(1));
                found(reads).Add(Array.Find(fences, f => f.Claim == claim && f.Id == id));
            });
    }

    private void Add(string name, string text, Action<DbParameterCollection>? bind = null, Action<DbDataReader, GroupReads>? read = null) =>
        _steps.Add(new Step(name, text, bind, read));

    private static void Set(DbParameterCollection parameters, params ReadOnlySpan<(string Name, object Value)> values)
    {
        foreach (var (name, value) in values)
        {
            Statement.Assign(parameters, name, value);
        }
    }

    /// <summary>Sends the steps as one round trip and hands each its rows.</summary>
    private async ValueTask RunAsync(GroupReads reads, CancellationToken cancellationToken)
    {
        var steps = _steps.ToArray();
        _steps.Clear();
        var batch = Session.Batch(string.Join(' ', steps.Select(static s => s.Name)), () => steps.Select(static s => s.Text));
        for (var i = 0; i < steps.Length; i++)
        {
            steps[i].Bind?.Invoke(batch.BatchCommands[i].Parameters);
        }

        await Session.PrepareAsync(batch, cancellationToken).ConfigureAwait(false);
        var reader = await batch.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            foreach (var step in steps)
            {
                if (step.Read is null)
                {
                    continue;
                }

                while (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
                {
                    step.Read(reader, reads);
                }

                await reader.NextResultAsync(cancellationToken).ConfigureAwait(false);
            }

            // The rest has no rows, and may still have errors.
            while (await reader.NextResultAsync(cancellationToken).ConfigureAwait(false))
            {
            }
        }
    }

    private sealed record Step(string Name, string Text, Action<DbParameterCollection>? Bind, Action<DbDataReader, GroupReads>? Read);
}
