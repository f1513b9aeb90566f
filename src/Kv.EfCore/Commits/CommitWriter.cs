using System.Data.Common;
using System.Globalization;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Keys;
using Kv.Messages;
using Kv.Sql;

namespace Kv.Commits;

/// <summary>Runs the transaction of a group over a session: first what it finds, then what it changes.</summary>
internal abstract class CommitWriter(Session session, FailPoints failPoints) : IAsyncDisposable
{
    public Session Session { get; } = session;

    /// <summary>A point of a group's transaction is reached. In a transaction of the user's nothing fails as asked.</summary>
    protected ValueTask ReachAsync(string point, CommitGroup group) =>
        failPoints.IsWatched ? failPoints.HitAsync(point, IsNested ? CommitKinds.None : group.Kinds) : default;

    /// <summary>Whether COMMIT may have reached the database: from here on an error does not prove that nothing happened.</summary>
    public bool CommitSent { get; protected set; }

    /// <summary>Why what was just committed is not found by other connections; null if it is.</summary>
    public string? FindLoss() => Session.FindLoss(hasWritten: true);

    /// <summary>How much of its callers' time the next transaction has.</summary>
    public TimeSpan? TimeLeft { get; set; }

    /// <summary>How durable the next transaction is.</summary>
    public KvDurability Durability { get; set; }

    /// <summary>Whether the database itself waits for locks, and is told for how long.</summary>
    public virtual bool WaitsAtServer => false;

    /// <summary>
    /// How long the next transaction waits for locks, and which session looks meanwhile; null for as long as its session may.
    /// </summary>
    public LockWait? Wait { get; set; }

    /// <summary>Whether an error proves that the commit that was sent did not happen.</summary>
    public bool ProvesRollback(Driver driver, Exception error) => driver.ProvesRollback(error, Session.Connection);

    /// <summary>Hears of an error that ended the transaction.</summary>
    public void Blame(Exception error) => Session.Blame(error);

    /// <summary>In a user's transaction a savepoint stands for the transaction: beginning, committing and marking are the user's.</summary>
    protected bool IsNested => Session.IsLent;

    /// <summary>Whether it brings messages that nothing orders into a transaction of the user's, and nothing else.</summary>
    protected bool IsPlain(CommitGroup group) =>
        IsNested && group is { TakesVersions: false, Writes: [{ Write.Messages.Count: > 0 }] };

    /// <summary>Begins the transaction, takes the group's versions, lets go of messages, and reads what its writes ask for.</summary>
    public abstract ValueTask<CommitReads> BeginAsync(CommitGroup group, CommitMark mark, CancellationToken cancellationToken);

    /// <summary>Writes the effects, claims messages, and commits. What <paramref name="reads"/> did not know yet, it knows then.</summary>
    /// <remarks>
    /// Claims come last: they find the messages that the group's own writes put in, and neither a message that a write takes out nor, as
    /// lapsed, one that a write acknowledges.
    /// </remarks>
    public abstract ValueTask CommitAsync(CommitGroup group, CommitReads reads, CommitEffects effects);

    /// <summary>Whether a command of the application's that is about to run can do a write as well.</summary>
    /// <param name="work">The write.</param>
    /// <param name="command">The command.</param>
    public virtual bool CanAppend(JoinedWork work, DbCommand command) => false;

    /// <summary>
    /// Has it put in the messages of the write, by a statement without rows at its end; none where the tables are others than the store's.
    /// A command that commits by itself fails then, as it does where its own row may not have come in.
    /// </summary>
    /// <param name="messages">The messages.</param>
    /// <param name="work">The write.</param>
    /// <param name="command">The command, of which <see cref="CanAppend"/> says that it can.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public virtual ValueTask AppendAsync(
        List<(NewMessage Message, long VersionOffset)> messages, JoinedWork work, DbCommand command, CancellationToken cancellationToken) =>
        throw new NotSupportedException("Nothing can be appended.");

    /// <summary>Whether they came in.</summary>
    /// <param name="reader">The reader of the command, when all of it was read without an error.</param>
    public virtual bool WasAppended(DbDataReader reader) => true;

    /// <summary>The commit of a group that another command has written begins.</summary>
    public ValueTask BeginCommitAsync(CommitGroup group) => ReachAsync(FailPoints.BegunCommit, group);

    /// <summary>Hears of a commit of this process, by this writer or another one, from any thread.</summary>
    public virtual void Observe(CommitGroup group, CommitEffects effects)
    {
    }

    /// <summary>Takes everything back. An error here means that the connection is of no more use; it never hides the cause.</summary>
    /// <remarks>
    /// The savepoint goes as well: one that stayed would be what the next write, failing before it has one of its own, goes back to, past
    /// all that the user did between.
    /// </remarks>
    public async ValueTask<bool> TryRollbackAsync()
    {
        try
        {
            if (!IsNested)
            {
                await Session.ExecuteAsync(KvSql.Rollback, CancellationToken.None).ConfigureAwait(false);
            }
            else if (Session.HasBegun)
            {
                await Session.ExecuteAsync(KvSql.RollbackToSavepoint, CancellationToken.None).ConfigureAwait(false);
                await Session.ExecuteAsync(KvSql.ReleaseSavepoint, CancellationToken.None).ConfigureAwait(false);
                Session.HasBegun = false;
            }

            return true;
        }
        catch (Exception error) when (error is DbException or InvalidOperationException or IOException or TimeoutException)
        {
            return false;
        }
    }

    /// <summary>Finds out whether a commit happened. If it did not, it never will: what may still be on its way is barred.</summary>
    /// <returns>The last version of the writer's marked commit, or null if that commit did not happen.</returns>
    /// <remarks>The version row is locked first, so that a transaction that holds it has ended when the marker is read.</remarks>
    public async ValueTask<long?> ResolveAsync(CommitMark mark, CancellationToken cancellationToken)
    {
        if (failPoints.IsWatched)
        {
            await failPoints.HitAsync(FailPoints.Resolve).ConfigureAwait(false);
        }

        await BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        var ended = false;
        try
        {
            await Session.ExecuteAsync(Session.Sql.LockVersion, cancellationToken).ConfigureAwait(false);
            var (version, sequence) = await ReadMarkerAsync(mark.Writer, cancellationToken).ConfigureAwait(false);

            // A writer that does not know an outcome takes another number before it goes on, so an equal sequence is this commit.
            if (sequence < mark.Sequence)
            {
                if (await Session.Statement(Session.Sql.Bar).Set("@writer", mark.Writer).Set("@sequence", mark.Sequence)
                    .ExecuteAsync(cancellationToken).ConfigureAwait(false) > 0)
                {
                    await Session.ExecuteAsync(KvSql.Commit, CancellationToken.None).ConfigureAwait(false);
                    ended = true;
                    return null;
                }

                // A transaction without a version does not hold the row; it has committed while the bar waited for it.
                (version, _) = await ReadMarkerAsync(mark.Writer, cancellationToken).ConfigureAwait(false);
            }

            return version == 0 ? null : version;
        }
        finally
        {
            if (!ended)
            {
                await TryRollbackAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>The store's version, and the number of the last marked commit of a writer; 0 if there is none.</summary>
    public async ValueTask<(long Version, long Sequence)> LookAsync(long writer, CancellationToken cancellationToken)
    {
        var version = Convert.ToInt64(
            await Session.Statement(Session.Sql.Version)
                .ScalarAsync(cancellationToken).ConfigureAwait(false), CultureInfo.InvariantCulture);
        return (version, writer == 0 ? 0 : (await ReadMarkerAsync(writer, cancellationToken).ConfigureAwait(false)).Sequence);
    }

    /// <summary>
    /// Takes the version to a number, if it lies below; a follower of changes from a version below it is told that some are lost.
    /// </summary>
    public ValueTask RaiseVersionAsync(long version, CancellationToken cancellationToken) => CommitAloneAsync(
        async () =>
        {
            await Session.Statement(Session.Sql.RaiseVersion).Set("@version", version)
                .ExecuteAsync(cancellationToken).ConfigureAwait(false);
            return await Session.Statement(Session.Sql.Feed.Cut).Set("@version", version)
                .ExecuteAsync(cancellationToken).ConfigureAwait(false);
        },
        cancellationToken);

    /// <summary>Writes to the version row, and no version.</summary>
    /// <returns>Null, always.</returns>
    public async ValueTask<long?> ProbeAsync(CancellationToken cancellationToken)
    {
        await CommitAloneAsync(() => Session.ExecuteAsync(Session.Sql.LockVersion, cancellationToken), cancellationToken)
            .ConfigureAwait(false);
        return null;
    }

    private async ValueTask CommitAloneAsync(Func<ValueTask<int>> write, CancellationToken cancellationToken)
    {
        await BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await write().ConfigureAwait(false);
            await Session.ExecuteAsync(KvSql.Commit, CancellationToken.None).ConfigureAwait(false);
        }
        catch
        {
            await TryRollbackAsync().ConfigureAwait(false);
            throw;
        }
    }

    public ValueTask DisposeAsync() => Session.DisposeAsync();

    private async ValueTask<(long Version, long Sequence)> ReadMarkerAsync(long writer, CancellationToken cancellationToken)
    {
        var reader = await Session.Statement(Session.Sql.Marker).Set("@writer", writer).ReadAsync(cancellationToken).ConfigureAwait(false);
        await using (reader.ConfigureAwait(false))
        {
            return await reader.ReadAsync(cancellationToken).ConfigureAwait(false) ? (reader.GetInt64(0), reader.GetInt64(1)) : (0, 0);
        }
    }

    protected abstract ValueTask BeginTransactionAsync(CancellationToken cancellationToken);

    /// <summary>
    /// The rows that the group's writes need to see, apart from those that merges need whole, however long their values are.
    /// </summary>
    protected static (IReadOnlyCollection<byte[]> Short, IReadOnlyCollection<byte[]> Whole) KeysToRead(CommitGroup group)
    {
        HashSet<byte[]>? keys = null, whole = null;
        foreach (var work in group.Writes)
        {
            foreach (var check in work.Write.Checks)
            {
                (keys ??= new(KeyComparer.Instance)).Add(check.Key);
            }

            foreach (var message in work.Write.Messages)
            {
                if (message.UniqueKey is not null)
                {
                    (keys ??= new(KeyComparer.Instance)).Add(QueueKeys.Unique(message.Topic, message.UniqueKey));
                }
            }

            if (work.Write.Ends?.Unique is { } unique)
            {
                (keys ??= new(KeyComparer.Instance)).Add(unique);
            }

            foreach (var rate in work.Write.Rates)
            {
                (keys ??= new(KeyComparer.Instance)).Add(rate.Key);
            }

            foreach (var mutation in work.Write.Mutations)
            {
                if (mutation.Kind == MutationKind.Merge)
                {
                    (whole ??= new(KeyComparer.Instance)).Add(mutation.Key);
                }
                else if (mutation.Kind is not (MutationKind.Set or MutationKind.SetVersionstamped
                    or MutationKind.Delete or MutationKind.DeleteRange))
                {
                    (keys ??= new(KeyComparer.Instance)).Add(mutation.Key);
                }
            }
        }

        if (whole is not null)
        {
            keys?.ExceptWith(whole);
        }

        return (keys as IReadOnlyCollection<byte[]> ?? [], whole as IReadOnlyCollection<byte[]> ?? []);
    }

    protected static IReadOnlyCollection<Fence> FencesToCheck(CommitGroup group)
    {
        HashSet<Fence>? fences = null;
        foreach (var work in group.Writes)
        {
            if (work.Write.Acknowledges is { } fence)
            {
                (fences ??= []).Add(fence);
            }
        }

        return fences as IReadOnlyCollection<Fence> ?? [];
    }

    protected static IEnumerable<StrayRow> StraysToCheck(CommitGroup group) =>
        group.Writes.Where(static w => w.Write.Clears is not null).Select(static w => w.Write.Clears!.Value);

    protected static IReadOnlyCollection<string> WaitingToCheck(CommitGroup group)
    {
        HashSet<string>? ids = null;
        foreach (var work in group.Writes)
        {
            if (work.Write.Removes is { } id)
            {
                (ids ??= new(StringComparer.Ordinal)).Add(id);
            }
        }

        return ids as IReadOnlyCollection<string> ?? [];
    }
}
