using System.Data.Common;
using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Messages;
using Kv.Sql;

namespace Kv.PostgreSql;

/// <summary>
/// Runs groups with array parameters, for a database that is a round trip away: two round trips for a group of any size, and one when no
/// write of the group depends on what is stored.
/// </summary>
/// <param name="session">Where it runs them.</param>
/// <param name="driver">The database.</param>
/// <param name="clock">The store's clock.</param>
/// <param name="settings">What makes the writer's settings in each transaction; null where its session has them.</param>
/// <param name="failPoints">Where tests make it fail.</param>
internal sealed class PostgreSqlCommitWriter(
    Session session, PostgreSqlDriver driver, StoreClock clock, string? settings, FailPoints failPoints)
    : CommitWriter(session, failPoints)
{
    public override bool WaitsAtServer => true;

    private readonly RoundTrip _trip = new(session);
    private readonly EffectStatements _effects = new(driver.Sql);
    private readonly ClaimSearches _searches = new(driver.Sql, clock);
    private CommitMark _mark;

    private bool ServerClock => clock.ServerDecides;

    public override async ValueTask<CommitReads> BeginAsync(CommitGroup group, CommitMark mark, CancellationToken cancellationToken)
    {
        CommitSent = false;
        var now = ServerClock ? 0 : clock.Now;
        _trip.Clear();
        if (Session.Prepares && IsPlain(group))
        {
            _mark = mark;
            return new CommitReads { Now = now };
        }

        _trip.Timeout = TimeLeft is { } left && Session.CommandTimeout is { } most && left < TimeSpan.FromSeconds(most - 1)
            ? Math.Max((int)Math.Ceiling(left.TotalSeconds), 1)
            : null;
        _trip.Add("begin", IsNested ? KvSql.Savepoint : driver.Sql.BeginWrite);
        if (Session.Identity is { } identity)
        {
            // Not known before the first look: then it is found to be another one, and looked at.
            var guard = Session.Prepares ? driver.Sql.Place.GuardOfSession : driver.Sql.Place.Guard;
            _trip.Add("guard", guard, p => RoundTrip.Set(p, ("@identity", identity.Tables ?? "")), RoundTrip.Ignore);
        }

        if (settings is not null && !IsNested)
        {
            _trip.Add("settings", settings, read: RoundTrip.Ignore);
        }

        if (Durability == KvDurability.Relaxed && !IsNested)
        {
            _trip.Add("relax", ServerSql.Relax, read: RoundTrip.Ignore);
        }

        if (Wait is { } wait)
        {
            AddLimit(wait);
            if (wait.Looks)
            {
                // A round trip of its own: what a batch has told before it waits comes when it has waited.
                await _trip.RunAsync(new CommitReads { Now = clock.Now }, cancellationToken).ConfigureAwait(false);
            }
        }

        if (group.TakesVersions)
        {
            AddBump(group.Writes.Count, mark, now);
        }
        else if (group.Writes.Count > 0 && mark.Writer != 0)
        {
            _trip.Add("mark", driver.Sql.Mark, p => RoundTrip.Set(
                p, ("@writer", mark.Writer), ("@sequence", mark.Sequence), ("@version", CommitMark.NoVersion)));
        }
        else if (group.Claims.Exists(static c => c.FindsSlots))
        {
            // A claim that counts the slots of a group holds the version row, as do all writes that put messages in or end those of
            // a group.
            _trip.Add("lock", driver.Sql.LockVersion);
        }

        var reads = new CommitReads { Now = now };
        var dependent = group.Writes.Exists(static w => w.Write.Reads);
        if (dependent)
        {
            AddReads(group);
        }

        AddQueueWork(group, now);
        if (dependent)
        {
            await _trip.RunAsync(reads, cancellationToken).ConfigureAwait(false);
        }

        return reads;
    }

    public override async ValueTask CommitAsync(CommitGroup group, CommitReads reads, CommitEffects effects)
    {
        await ReachAsync(FailPoints.BegunCommit, group).ConfigureAwait(false);
        if (Session.Prepares && IsPlain(group))
        {
            await new PlainMessages(Session, driver, effects.Messages, _mark, ServerClock ? null : reads.Now)
                .PutAsync(default).ConfigureAwait(false);
            return;
        }

        var plan = new ClaimPlan(group.Claims, effects.Messages);
        _effects.AddTo(_trip, effects, reads.Now);
        if (effects.Messages.Count > 0)
        {
            AddMessages(effects.Messages, plan, reads.Now);
        }

        _searches.Observe(group, effects);
        _searches.AddTo(_trip, plan.Searches, reads.Now);
        if (IsNested && Wait is not null)
        {
            _trip.Add("unlimit", ServerSql.UnlimitLocks, read: RoundTrip.Ignore);
        }

        _trip.Add("commit", IsNested ? KvSql.ReleaseSavepoint : KvSql.Commit);
        await ReachAsync(FailPoints.BeforeCommit, group).ConfigureAwait(false);
        CommitSent = !IsNested;
        await _trip.RunAsync(reads, CancellationToken.None).ConfigureAwait(false);
        await ReachAsync(FailPoints.AfterCommit, group).ConfigureAwait(false);
    }

    public override bool CanAppend(JoinedWork work, DbCommand command) => PlainMessages.CanAppend(Session, driver, work, command);

    public override ValueTask AppendAsync(
        List<(NewMessage Message, long VersionOffset)> messages, JoinedWork work, DbCommand command, CancellationToken cancellationToken) =>
        new PlainMessages(Session, driver, messages, work.Mark, ServerClock ? null : clock.Now)
            .AppendAsync(command, work.Table, cancellationToken);

    public override bool WasAppended(DbDataReader reader) => PlainMessages.WasAppended(reader);

    public override void Observe(CommitGroup group, CommitEffects effects) => _searches.Observe(group, effects);

    protected override async ValueTask BeginTransactionAsync(CancellationToken cancellationToken)
    {
        await Session.ExecuteAsync(driver.Sql.BeginWrite, cancellationToken).ConfigureAwait(false);
        if (Wait is { } wait)
        {
            AddLimit(wait);
            await _trip.RunAsync(new CommitReads { Now = clock.Now }, cancellationToken).ConfigureAwait(false);
        }
    }

    private void AddLimit(LockWait wait) => _trip.Add(
        "limit", ServerSql.LimitLocks, p => RoundTrip.Set(p, ("@wait", wait.Text)), (reader, _) => wait.Begin(reader.GetInt32(0)));

    private void AddBump(int count, CommitMark mark, long now)
    {
        if (mark.Writer == 0)
        {
            _trip.Add("bump", driver.Sql.Bump, p => RoundTrip.Set(p, ("@count", count)), ReadVersion);
        }
        else
        {
            if (mark.Sequence == 1 && !IsNested)
            {
                _trip.Add("prune", driver.Sql.DeleteOldMarks, p => RoundTrip.Set(
                    p, ("@now", now), ("@lifetime", (long)CommitMarks.Lifetime.TotalMilliseconds)));
            }

            _trip.Add(
                "bump+mark",
                driver.Sql.BumpAndMark,
                p => RoundTrip.Set(p, ("@count", count), ("@writer", mark.Writer), ("@sequence", mark.Sequence)),
                ReadVersion);
        }

        void ReadVersion(DbDataReader reader, CommitReads reads)
        {
            reads.LastVersion = reader.GetInt64(0);
            if (ServerClock)
            {
                reads.Now = reader.GetInt64(1);
            }
        }
    }

    private void AddReads(CommitGroup group)
    {
        var keys = KeysToRead(group);
        AddRows("read", driver.Sql.ReadRows, keys.Short);
        AddRows("read whole", driver.Sql.ReadWholeRows, keys.Whole);

        if (WaitingToCheck(group) is { Count: > 0 } waiting)
        {
            _trip.Add(
                "waiting",
                driver.Sql.WaitingAll,
                p => RoundTrip.Set(p, ("@ids", waiting.ToArray())),
                static (reader, reads) => reads.Waiting.Add(reader.GetString(0)));
        }

        foreach (var stray in StraysToCheck(group))
        {
            _trip.Add(
                "stray",
                driver.Sql.StrayAt,
                p => RoundTrip.Set(p, ("@place", stray.Position), ("@id", stray.Id)),
                (_, reads) => reads.Strays.Add(stray));
        }
    }

    private void AddRows(string name, string text, IReadOnlyCollection<byte[]> keys)
    {
        if (keys.Count > 0)
        {
            _trip.Add(name, text, p => RoundTrip.Set(p, ("@keys", keys.ToArray())), static (reader, reads) => reads.Rows.Add(
                reader.GetFieldValue<byte[]>(0),
                new StoredRow(
                    reader.GetInt64(1),
                    reader.GetInt32(2),
                    reader.GetInt64(3),
                    reader.IsDBNull(4) ? null : reader.GetFieldValue<byte[]>(4))));
        }
    }

    private void AddQueueWork(CommitGroup group, long now)
    {
        if (group.Completions.Count > 0)
        {
            _trip.AddFenced(
                "complete",
                driver.Sql.CompleteAll,
                driver.Sql.CompleteMany,
                group.Completions.ConvertAll(static c => c.Fence),
                static reads => reads.Released);
        }

        if (group.Requeues.Count > 0)
        {
            var requeues = group.Requeues;
            _trip.AddFenced(
                "requeue",
                driver.Sql.RequeueAll,
                driver.Sql.RequeueAll,
                requeues.ConvertAll(static r => r.Fence),
                static reads => reads.Released,
                p => RoundTrip.Set(
                    p,
                    ("@now", now),
                    ("@delays", requeues.Select(static r => r.Delay).ToArray()),
                    ("@backoffs", requeues.Select(static r => r.Backoff).ToArray()),
                    ("@attempts", requeues.Select(static r => r.Attempt).ToArray()),
                    ("@turns", requeues.Select(static r => r.Token).ToArray()),
                    ("@errors", requeues.Select(static r => r.Error).ToArray())));
        }

        foreach (var update in group.Updates)
        {
            _trip.Add(
                "row: " + update.Text,
                update.Text,
                p => RoundTrip.Set(p, [.. update.Values]),
                (reader, reads) =>
                {
                    update.Meet(reader.GetValue(0));
                    reads.Updated.Add(update);
                });
        }

        // What was given back just now is no longer running, and its write must be refused.
        if (FencesToCheck(group) is { Count: > 0 } fences)
        {
            _trip.AddFenced("fence", driver.Sql.FenceAll, driver.Sql.FenceMany, fences, static reads => reads.Held);
        }
    }

    private void AddMessages(List<(NewMessage Message, long VersionOffset)> messages, ClaimPlan plan, long now)
    {
        if (plan.Topics.Count == 0)
        {
            _trip.Add("enqueue", driver.Sql.EnqueueAll, p => MessageArrays.Set(p, messages, now));
            return;
        }

        var takers = messages.ConvertAll(m => plan.TakerOf(m.Message));
        _trip.Add(
            "enqueue+hold",
            driver.Sql.EnqueueHeldAll,
            p =>
            {
                MessageArrays.Set(p, messages, now);
                RoundTrip.Set(
                    p,
                    ("@holders", takers.Select(static t => t?.Claim.Owner).ToArray()),
                    ("@leases", takers.Select(static t => t?.Topic.LeaseMilliseconds ?? 0).ToArray()),
                    ("@claimed", plan.Topics.Select(static t => t.Topic).ToArray()),
                    ("@pauses", plan.Topics.Select(static t => t.Pause).ToArray()),
                    ("@limit", plan.Topics.Count));
            },
            (reader, reads) =>
            {
                var message = messages[reader.GetInt32(0) - 1].Message;
                var claim = plan.TakerOf(message)!.Value.Claim;
                reads.Hold(claim, ClaimedMessage.Of(message, claim.Owner, reader.GetInt64(1), reader.GetInt64(2)));
            });
    }
}
