using System.Data.Common;
using System.Globalization;
using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Messages;
using Kv.Sql;

namespace Kv.Sqlite;

/// <summary>Runs groups with a statement a row, for a database that lives in the process.</summary>
internal sealed class SqliteCommitWriter(
    Session session, SqliteDriver driver, StoreClock clock, KvStoreOptions options, FailPoints failPoints)
    : CommitWriter(session, failPoints)
{
    private readonly RowClaims _claims = new(session, driver);
    private KvDurability _level = options.Durability;
    private long _now;
    private NewMessage? _message;

    public override async ValueTask<CommitReads> BeginAsync(CommitGroup group, CommitMark mark, CancellationToken cancellationToken)
    {
        CommitSent = false;
        _message = IsPlain(group) && mark.Writer == 0 && group.Writes[0].Write.Messages is [var one] ? one : null;
        if (_message is not null)
        {
            return new CommitReads { Now = clock.Now };
        }

        if (Session.Identity is { } identity)
        {
            await identity.EnsureAsync(Session, cancellationToken).ConfigureAwait(false);
        }

        await BeginTransactionAsync(cancellationToken).ConfigureAwait(false);

        // After the wait for the lock: a lease must not be half over when it begins.
        _now = clock.Now;
        var reads = new CommitReads { Now = _now };
        if (group.TakesVersions)
        {
            reads.LastVersion = await BumpAsync(group.Writes.Count, mark, cancellationToken).ConfigureAwait(false);
            await ReadRowsAsync(group, reads, cancellationToken).ConfigureAwait(false);
        }
        else if (group.Writes.Count > 0 && mark.Writer != 0)
        {
            await MarkAsync(mark, CommitMark.NoVersion, cancellationToken).ConfigureAwait(false);
        }

        foreach (var completion in group.Completions)
        {
            if (await FencedAsync(driver.Sql.Complete, completion.Fence, cancellationToken).ConfigureAwait(false))
            {
                reads.Released.Add(completion.Fence);
            }
        }

        foreach (var requeue in group.Requeues)
        {
            await RequeueAsync(requeue, reads, cancellationToken).ConfigureAwait(false);
        }

        foreach (var update in group.Updates)
        {
            if (await Filled(update).ScalarAsync(cancellationToken).ConfigureAwait(false) is { } first)
            {
                update.Meet(first);
                reads.Updated.Add(update);
            }
        }

        // What was given back just now is no longer running, and its write must be refused.
        foreach (var fence in FencesToCheck(group))
        {
            if (await Fenced(driver.Sql.Fence, fence).ScalarAsync(cancellationToken).ConfigureAwait(false) is not null)
            {
                reads.Held.Add(fence);
            }
        }

        return reads;
    }

    public override async ValueTask CommitAsync(CommitGroup group, CommitReads reads, CommitEffects effects)
    {
        await ReachAsync(FailPoints.BegunCommit, group).ConfigureAwait(false);
        if (_message is not null)
        {
            await new PlainMessage(Session, driver).PutAsync(_message, reads.Now, default).ConfigureAwait(false);
            return;
        }

        foreach (var (start, end) in effects.Ranges)
        {
            await Session.Statement(driver.Sql.DeleteRange).Set("@start", start).Set("@end", end)
                .ExecuteAsync(default).ConfigureAwait(false);
        }

        foreach (var key in effects.Deletes)
        {
            await Session.Statement(driver.Sql.Delete).Set("@k", key).ExecuteAsync(default).ConfigureAwait(false);
        }

        foreach (var touch in effects.Touches)
        {
            await Session.Statement(driver.Sql.Touch).Set("@k", touch.Key).Set("@version", reads.LastVersion - touch.VersionOffset)
                .Set("@expires", touch.ExpiresAt).ExecuteAsync(default).ConfigureAwait(false);
        }

        foreach (var put in effects.Puts)
        {
            await Session.Statement(driver.Sql.Put).Set("@k", put.Key).Set("@v", put.Value).Set("@encoding", put.Encoding)
                .Set("@version", reads.LastVersion - put.VersionOffset).Set("@expires", put.ExpiresAt)
                .ExecuteAsync(default).ConfigureAwait(false);
        }

        // Slots that are freed first: a message that comes then may find one.
        foreach (var (fence, keys) in effects.Acknowledged)
        {
            if (await FencedAsync(driver.Sql.Complete, fence, default).ConfigureAwait(false) && keys?.Group is { } left)
            {
                await UnblockAsync(keys.Topic, left).ConfigureAwait(false);
            }
        }

        foreach (var id in effects.Removed)
        {
            await RemoveAsync(id).ConfigureAwait(false);
        }

        foreach (var stray in effects.Cleared)
        {
            await At(driver.Sql.DeleteAt, stray).ExecuteAsync(default).ConfigureAwait(false);
        }

        foreach (var (topic, key) in effects.Unblocked)
        {
            await UnblockAsync(topic, key).ConfigureAwait(false);
        }

        if (effects.Messages.Count > 0 || group.Claims.Count > 0)
        {
            var plan = new ClaimPlan(group.Claims, effects.Messages);
            await EnqueueAsync(effects.Messages, plan, reads).ConfigureAwait(false);
            foreach (var search in plan.Searches)
            {
                await _claims.RunAsync(search, reads, _now).ConfigureAwait(false);
            }
        }

        if (IsNested)
        {
            await Session.ExecuteAsync(KvSql.ReleaseSavepoint, default).ConfigureAwait(false);
            return;
        }

        await ReachAsync(FailPoints.BeforeCommit, group).ConfigureAwait(false);
        CommitSent = true;
        await RetryBusyAsync(KvSql.Commit, default).ConfigureAwait(false);
        await ReachAsync(FailPoints.AfterCommit, group).ConfigureAwait(false);
    }

    public override bool CanAppend(JoinedWork work, DbCommand command) => PlainMessage.CanAppend(Session, work, command);

    public override ValueTask AppendAsync(
        List<(NewMessage Message, long VersionOffset)> messages, JoinedWork work, DbCommand command, CancellationToken cancellationToken) =>
        new PlainMessage(Session, driver).AppendAsync(messages[0].Message, clock.Now, command);

    protected override async ValueTask BeginTransactionAsync(CancellationToken cancellationToken)
    {
        if (!IsNested && _level != Durability)
        {
            // It can be changed outside of a transaction alone.
            await Session.ExecuteAsync(ConnectionSettings.SetLevel(Durability), cancellationToken).ConfigureAwait(false);
            _level = Durability;
        }

        await RetryBusyAsync(IsNested ? KvSql.Savepoint : driver.Sql.BeginWrite, cancellationToken).ConfigureAwait(false);
        Session.HasBegun = true;
    }

    // Another process may hold the lock: it is waited for here, without a thread and in steps far shorter than the driver's.
    private ValueTask<int> RetryBusyAsync(string statement, CancellationToken cancellationToken) => Retry.UntilAsync(
        (Writer: this, Statement: statement, CancellationToken: cancellationToken),
        static (of, _) => of.Writer.Session.ExecuteAsync(of.Statement, of.CancellationToken),
        static (of, error, backoff) => of.Writer.Classify(error, backoff),
        static (_, error) => error,
        cancellationToken);

    private Backoff? Classify(Exception error, Backoff? backoff) =>
        driver.Classify(error) == Fault.Busy ? backoff ?? Backoff.ForLocks(TimeLeft ?? options.CommandTimeout) : null;

    private async ValueTask<long> BumpAsync(int count, CommitMark mark, CancellationToken cancellationToken)
    {
        var version = await Session.Statement(driver.Sql.Bump).Set("@count", count).ScalarAsync(cancellationToken).ConfigureAwait(false);
        var last = Convert.ToInt64(version, CultureInfo.InvariantCulture);
        if (mark.Writer != 0)
        {
            if (mark.Sequence == 1 && !IsNested)
            {
                await Session.Statement(driver.Sql.DeleteOldMarks).Set("@now", _now)
                    .Set("@lifetime", (long)CommitMarks.Lifetime.TotalMilliseconds)
                    .ExecuteAsync(cancellationToken).ConfigureAwait(false);
            }

            await MarkAsync(mark, last, cancellationToken).ConfigureAwait(false);
        }

        return last;
    }

    private async ValueTask MarkAsync(CommitMark mark, long version, CancellationToken cancellationToken) =>
        await Session.Statement(driver.Sql.Mark).Set("@writer", mark.Writer).Set("@sequence", mark.Sequence).Set("@version", version)
            .ExecuteAsync(cancellationToken).ConfigureAwait(false);

    private async ValueTask ReadRowsAsync(CommitGroup group, CommitReads reads, CancellationToken cancellationToken)
    {
        var keys = KeysToRead(group);
        foreach (var key in keys.Short)
        {
            await ReadRowAsync(driver.Sql.ReadRow, key, reads, cancellationToken).ConfigureAwait(false);
        }

        foreach (var key in keys.Whole)
        {
            await ReadRowAsync(driver.Sql.ReadWholeRow, key, reads, cancellationToken).ConfigureAwait(false);
        }

        foreach (var id in WaitingToCheck(group))
        {
            if (await Session.Statement(driver.Sql.Waiting).Set("@id", id).ScalarAsync(cancellationToken).ConfigureAwait(false) is not null)
            {
                reads.Waiting.Add(id);
            }
        }

        foreach (var stray in StraysToCheck(group))
        {
            if (await At(driver.Sql.StrayAt, stray).ScalarAsync(cancellationToken).ConfigureAwait(false) is not null)
            {
                reads.Strays.Add(stray);
            }
        }
    }

    private async ValueTask ReadRowAsync(string text, byte[] key, CommitReads reads, CancellationToken cancellationToken)
    {
        var reader = await Session.Statement(text).Set("@k", key).ReadAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            if (await reader.ReadAsync(cancellationToken).ConfigureAwait(false))
            {
                var value = reader.IsDBNull(3) ? null : reader.GetFieldValue<byte[]>(3);
                reads.Rows.Add(key, new StoredRow(reader.GetInt64(0), reader.GetInt32(1), reader.GetInt64(2), value));
            }
        }
    }

    private async ValueTask EnqueueAsync(List<(NewMessage Message, long VersionOffset)> messages, ClaimPlan plan, CommitReads reads)
    {
        HashSet<TopicClaim> clear = [];
        foreach (var topic in plan.Topics)
        {
            var look = Session.Statement(driver.Sql.IsClear).Set("@topic", topic.Topic).Set("@pause", topic.Pause).Set("@now", _now);
            if (await look.ScalarAsync(default).ConfigureAwait(false) is not null)
            {
                clear.Add(topic);
            }
        }

        foreach (var (message, versionOffset) in messages)
        {
            if (plan.TakerOf(message) is { } taker && clear.Contains(taker.Topic)
                && await TryHoldAsync(message, taker).ConfigureAwait(false))
            {
                reads.Hold(taker.Claim, ClaimedMessage.Of(message, taker.Claim.Owner, _now, UniqueUntil(message)));
            }
            else
            {
                await Filled(driver.Sql.Enqueue, message).Set("@delay", message.Delay).Set("@group", message.GroupKey)
                    .Set("@grouplimit", message.GroupLimit)
                    .Set("@version", reads.LastVersion - versionOffset).ExecuteAsync(default).ConfigureAwait(false);
            }
        }

        // Refused where a message of its id is held: then it waits like others, and the claim that takes it finds out.
        async ValueTask<bool> TryHoldAsync(NewMessage message, (ClaimWork Claim, TopicClaim Topic) taker)
        {
            try
            {
                await Filled(driver.Sql.EnqueueHeld, message).Set("@lease", taker.Topic.LeaseMilliseconds).Set("@owner", taker.Claim.Owner)
                    .ExecuteAsync(default).ConfigureAwait(false);
                return true;
            }
            catch (DbException error) when (driver.Classify(error) == Fault.Permanent)
            {
                return false;
            }
        }

        Statement Filled(string text, NewMessage message) => Session.Statement(text).Set(message, _now)
            .Set("@unique", message.UniqueKey).Set("@uniqueuntil", UniqueUntil(message)).Set("@scope", message.Scope);

        long UniqueUntil(NewMessage message) => message.UniqueFor > 0 ? _now + message.UniqueFor : 0;
    }

    private async ValueTask RemoveAsync(string id)
    {
        string? topic = null, group = null;
        var reader = await Session.Statement(driver.Sql.Remove).Set("@id", id).ReadAsync(default).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            if (await reader.ReadAsync(default).ConfigureAwait(false))
            {
                (topic, group) = (reader.GetString(0), reader.IsDBNull(1) ? null : reader.GetString(1));
            }
        }

        if (group is not null)
        {
            await UnblockAsync(topic!, group).ConfigureAwait(false);
        }
    }

    private async ValueTask UnblockAsync(string topic, string group) =>
        await Session.Statement(driver.Sql.Unblock).Set("@topic", topic).Set("@group", group).ExecuteAsync(default).ConfigureAwait(false);

    private async ValueTask RequeueAsync(RequeueWork requeue, CommitReads reads, CancellationToken cancellationToken)
    {
        var copied = await Fenced(driver.Sql.CopyToQueue, requeue.Fence).Set("@now", _now).Set("@delay", requeue.Delay)
            .Set("@backoff", requeue.Backoff).Set("@attempt", requeue.Attempt).Set("@turn", requeue.Token).Set("@error", requeue.Error)
            .ExecuteAsync(cancellationToken).ConfigureAwait(false);
        if (copied > 0)
        {
            await FencedAsync(driver.Sql.Complete, requeue.Fence, cancellationToken).ConfigureAwait(false);
            reads.Released.Add(requeue.Fence);
        }
    }

    private Statement At(string text, StrayRow stray) => Session.Statement(text).Set("@place", stray.Position).Set("@id", stray.Id);

    private Statement Filled(UpdateWork update) =>
        update.Values.Aggregate(Session.Statement(update.Text), static (statement, value) => statement.Set(value.Name, value.Value));

    private Statement Fenced(string text, Fence fence) =>
        Session.Statement(text).Set("@id", fence.Id).Set("@owner", fence.Owner).Set("@claim", fence.Claim);

    private async ValueTask<bool> FencedAsync(string text, Fence fence, CancellationToken cancellationToken) =>
        await Fenced(text, fence).ExecuteAsync(cancellationToken).ConfigureAwait(false) > 0;
}
