using Microsoft.Extensions.Logging;

namespace Kv.Diagnostics;

/// <summary>What the engine logs. Error: to be looked at. Warning: a retry. Information: start and stop. Debug: the rest.</summary>
internal static partial class KvLog
{
    [LoggerMessage(1, LogLevel.Warning, "A transaction of {Count} writes failed and is tried again.")]
    public static partial void GroupRetried(ILogger logger, Exception error, int count);

    [LoggerMessage(2, LogLevel.Debug, "The database refused a transaction of {Count} writes; each is run alone.")]
    public static partial void GroupSplit(ILogger logger, Exception error, int count);

    [LoggerMessage(3, LogLevel.Warning, "The answer to the commit of {Count} writes was lost; asking whether it happened.")]
    public static partial void CommitUnknown(ILogger logger, Exception error, int count);

    [LoggerMessage(4, LogLevel.Warning, "The commit of {Count} writes whose answer was lost: committed = {Committed}.")]
    public static partial void CommitResolved(ILogger logger, int count, bool committed);

    [LoggerMessage(EventId = 5, Message = "A read failed and is tried again.")]
    public static partial void ReadRetried(ILogger logger, LogLevel level, Exception error);

    [LoggerMessage(EventId = 6, Message = "Sweeping expired entries failed; it is tried again in {Wait}.")]
    public static partial void SweepFailed(ILogger logger, LogLevel level, Exception error, TimeSpan wait);

    [LoggerMessage(7, LogLevel.Debug, "Swept {Count} expired entries.")]
    public static partial void Swept(ILogger logger, int count);

    [LoggerMessage(EventId = 22, Message = "Maintenance: {Step} did {Done} in {Took}. {Problem}")]
    public static partial void Maintained(ILogger logger, LogLevel level, string step, long done, TimeSpan took, string? problem);

    [LoggerMessage(EventId = 23, Message = "Maintenance failed; the policy is asked again in {Wait}.")]
    public static partial void MaintenanceFailed(ILogger logger, LogLevel level, Exception error, TimeSpan wait);

    [LoggerMessage(EventId = 8, Message = "Looking for commits of other processes failed; it is tried again.")]
    public static partial void PollFailed(ILogger logger, LogLevel level, Exception error);

    [LoggerMessage(9, LogLevel.Information, "Migrating the store: {Migrations}.")]
    public static partial void Migrating(ILogger logger, string migrations);

    [LoggerMessage(10, LogLevel.Information, "Waiting for another process that is migrating the store.")]
    public static partial void WaitingForMigration(ILogger logger);

    [LoggerMessage(11, LogLevel.Information, "The tables were made by Deno; they equal the migrations {Migrations}, which are recorded.")]
    public static partial void Adopted(ILogger logger, string migrations);

    [LoggerMessage(
        20,
        LogLevel.Information,
        "The schema has migrations of a newer version of EfKv, beside which this version goes on: {Migrations}.")]
    public static partial void BesideNewer(ILogger logger, string migrations);

    [LoggerMessage(
        12,
        LogLevel.Warning,
        "SQLite {Version} can corrupt a file in WAL mode when two processes write and checkpoint at one moment (fixed in 3.51.3). Share "
        + "the file between processes only with a newer native library.")]
    public static partial void OldSqlite(ILogger logger, string version);

    [LoggerMessage(13, LogLevel.Warning, "PostgreSQL runs with {Setting} = {Value}: commits that were answered can be lost in a crash.")]
    public static partial void NotDurable(ILogger logger, string setting, string value);

    [LoggerMessage(
        14, LogLevel.Error, "It could not be found out whether the commit of {Count} writes happened; their callers are told so.")]
    public static partial void CommitUnresolved(ILogger logger, Exception error, int count);

    [LoggerMessage(EventId = 15, Message = "Commits of other processes are not heard of for now; they are looked for until they are.")]
    public static partial void ListeningFailed(ILogger logger, LogLevel level, Exception error);

    [LoggerMessage(
        16,
        LogLevel.Warning,
        "Notifications of PostgreSQL do not come through this connection, as behind a pooler of transactions; commits of other processes "
        + "are looked for instead. Connect directly, or set KvStoreOptions.TransactionPooling, or Notifications to false.")]
    public static partial void NoticesLost(ILogger logger);

    [LoggerMessage(
        EventId = 17, Message = "Other processes could not be told of commits; it is tried again, and meanwhile they look for themselves.")]
    public static partial void NotifyingFailed(ILogger logger, LogLevel level, Exception error);

    [LoggerMessage(18, LogLevel.Warning, "A connection that was given up could not be closed.")]
    public static partial void CloseFailed(ILogger logger, Exception error);

    [LoggerMessage(200, LogLevel.Warning, "A watch of {Count} keys cannot read for now; it goes on when the database is back.")]
    public static partial void WatchInterrupted(ILogger logger, Exception error, int count);

    [LoggerMessage(201, LogLevel.Information, "A watch of {Count} keys goes on.")]
    public static partial void WatchResumed(ILogger logger, int count);

    [LoggerMessage(202, LogLevel.Warning, "A follower of changes cannot read for now; it goes on when the database is back.")]
    public static partial void FeedInterrupted(ILogger logger, Exception error);

    [LoggerMessage(203, LogLevel.Information, "A follower of changes goes on.")]
    public static partial void FeedResumed(ILogger logger);

    [LoggerMessage(204, LogLevel.Debug, "What has expired could not be told of at once; it is with the next commit.")]
    public static partial void FeedNotMoved(ILogger logger, Exception error);

    [LoggerMessage(EventId = 205, Message = "Changes that are no longer kept could not be deleted; it is tried again in {Wait}.")]
    public static partial void TrimFailed(ILogger logger, LogLevel level, Exception error, TimeSpan wait);

    [LoggerMessage(
        320, LogLevel.Information,
        "The clock was set forward by {Step}. If that was wrong, set it right: what has expired by it is hidden, and deleted in {Doubt} at "
        + "the earliest.")]
    public static partial void ClockSetForward(ILogger logger, TimeSpan step, TimeSpan doubt);

    [LoggerMessage(
        19, LogLevel.Debug,
        "The connection that keeps the read lock for all readers failed; until another one does, each takes it for itself.")]
    public static partial void ReadLockGivenUp(ILogger logger, Exception error);

    [LoggerMessage(
        340, LogLevel.Warning,
        "The topic '{Topic}' is paused, and has no message that waits or runs. If it should have some, look at the name: a topic is known "
        + "by its messages alone.")]
    public static partial void PausedNothing(ILogger logger, string topic);

    [LoggerMessage(EventId = 180, Level = LogLevel.Error, Message = "{Loss}")]
    public static partial void FileLost(ILogger logger, string loss);

    [LoggerMessage(182, LogLevel.Warning, "The store '{Name}', which had no lease any more, did not close as it should.")]
    public static partial void StoreNotClosed(ILogger logger, Exception error, string name);

    [LoggerMessage(
        EventId = 181, Level = LogLevel.Debug,
        Message = "Other processes could not be told of the last commits before the store ended; they find them by looking.")]
    public static partial void LastNoticeFailed(ILogger logger, Exception error);

    [LoggerMessage(EventId = 184, Level = LogLevel.Error, Message = "{Text}")]
    public static partial void WentBack(ILogger logger, string text);

    [LoggerMessage(
        185,
        LogLevel.Warning,
        "The replica serves no reads for now ({Why}); the store's own database serves those that it would, until it is back.")]
    public static partial void ReplicaAway(ILogger logger, Exception error, string why);

    [LoggerMessage(186, LogLevel.Information, "The replica is back, and serves reads again.")]
    public static partial void ReplicaBack(ILogger logger);

    [LoggerMessage(187, LogLevel.Debug, "The replica could not serve a read; the store's own database does.")]
    public static partial void ReplicaPassedOver(ILogger logger, Exception error);

    [LoggerMessage(
        170,
        LogLevel.Warning,
        "Messages of the type {Type} are stored under its full name, since it has no [KvMessage] attribute: when the type is renamed or "
        + "moved, no handler takes those that wait. Give it one: [KvMessage(\"order-placed\")].")]
    public static partial void MessageUnnamed(ILogger logger, string type);

    [LoggerMessage(
        190,
        LogLevel.Warning,
        "The encoding of {Database} is {Encoding}: what it lacks cannot be written into topics, names, keys and notes of messages. Make "
        + "the database with encoding UTF8.")]
    public static partial void NotUtf8(ILogger logger, string database, string encoding);

    [LoggerMessage(191, LogLevel.Information, "Waiting for {Database} to be there, to migrate the store.")]
    public static partial void WaitingForDatabase(ILogger logger, Exception error, string database);

    [LoggerMessage(
        210,
        LogLevel.Warning,
        "{Count} writes that were collected by db.Kv() in a transaction of {Context} were dropped: the transaction ended without a "
        + "commit.")]
    public static partial void JoinedDropped(ILogger logger, int count, string context);

    [LoggerMessage(
        EventId = 211,
        Message = "{Context} ended with {Count} writes that were collected by db.Kv() and never committed; they are dropped. SaveChanges "
            + "commits them, or the transaction that is open.")]
    public static partial void JoinedLeft(ILogger logger, LogLevel level, int count, string context);

    [LoggerMessage(212, LogLevel.Warning, "After a save that failed, the transaction could not go back to where it was before.")]
    public static partial void JoinedRollbackFailed(ILogger logger, Exception error);

    [LoggerMessage(192, LogLevel.Information, "No database is named for the store, so it is in {File}.")]
    public static partial void DefaultFile(ILogger logger, string file);

    [LoggerMessage(
        220,
        LogLevel.Warning,
        "The merge operator '{Operator}' took {Milliseconds} ms to fold an operand into a value of {Size} bytes. All writers of the store "
        + "wait meanwhile: make it quicker, or its values shorter.")]
    public static partial void MergeSlow(ILogger logger, string @operator, long milliseconds, int size);

    [LoggerMessage(
        160, LogLevel.Debug,
        "The database refused to move messages: it has rows that have an id in common. The statement runs in another form.")]
    public static partial void Adapts(ILogger logger, Exception error);
}
