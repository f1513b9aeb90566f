namespace Kv;

/// <summary>An ordered, transactional key-value store with a durable message queue, in tables of the application's own database.</summary>
/// <remarks>
/// A singleton, safe for concurrent use. All writes of a process share commits; a read sees every commit that was answered before it
/// began, unless it asks for less (<see cref="KvReadOptions.Eventual"/>). Errors of the database are <see cref="KvException"/>, with the
/// database's own inside, except in a commit that is part of a caller's own transaction, where they pass through; absent is null; a failed
/// check is a result. Inside a <c>TransactionScope</c> reads run outside of it, and writes are refused with an <see
/// cref="InvalidOperationException"/>: a store is never part of one.
/// </remarks>
public interface IKvStore
{
    /// <summary>The entry of a key.</summary>
    /// <param name="key">The key; an empty key is always absent.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The entry, or null if there is none, or none that is still alive.</returns>
    /// <exception cref="ArgumentException">The key is larger than <see cref="KvLimits.MaxReadKeySize"/> bytes.</exception>
    ValueTask<KvEntry?> GetAsync(KvKey key, CancellationToken cancellationToken = default);

    /// <inheritdoc cref="GetAsync(KvKey, CancellationToken)" />
    /// <param name="key">The key; an empty key is always absent.</param>
    /// <param name="options">How fresh it has to be: <see cref="KvReadOptions.Eventual"/> may be served by a replica.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    ValueTask<KvEntry?> GetAsync(KvKey key, KvReadOptions options, CancellationToken cancellationToken = default);

    /// <summary>The value of a key as a .NET type.</summary>
    /// <typeparam name="T">What the value is read as; see <see cref="IKvValueSerializer"/>.</typeparam>
    /// <param name="key">The key.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The value, or the default of the type if the key is absent.</returns>
    /// <exception cref="KvException">
    /// The value cannot be read as that type (<see cref="KvErrorKind.Encoding"/>, <see cref="KvErrorKind.Type"/>).
    /// </exception>
    ValueTask<T?> GetAsync<T>(KvKey key, CancellationToken cancellationToken = default);

    /// <inheritdoc cref="GetAsync{T}(KvKey, CancellationToken)" />
    /// <param name="key">The key.</param>
    /// <param name="options">How fresh it has to be.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    ValueTask<T?> GetAsync<T>(KvKey key, KvReadOptions options, CancellationToken cancellationToken = default);

    /// <summary>The entries of several keys, all of one snapshot.</summary>
    /// <param name="keys">Up to <see cref="KvStoreOptions.MaxReadRanges"/> keys; duplicates are allowed.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>One answer for each key in the order of the keys, null where there is no entry.</returns>
    ValueTask<IReadOnlyList<KvEntry?>> GetManyAsync(IReadOnlyList<KvKey> keys, CancellationToken cancellationToken = default);

    /// <inheritdoc cref="GetManyAsync(IReadOnlyList{KvKey}, CancellationToken)" />
    /// <param name="keys">Up to <see cref="KvStoreOptions.MaxReadRanges"/> keys; duplicates are allowed.</param>
    /// <param name="options">How fresh they have to be.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    ValueTask<IReadOnlyList<KvEntry?>> GetManyAsync(
        IReadOnlyList<KvKey> keys, KvReadOptions options, CancellationToken cancellationToken = default);

    /// <summary>Whether a key has an entry, without loading its value.</summary>
    /// <param name="key">The key.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    ValueTask<bool> ExistsAsync(KvKey key, CancellationToken cancellationToken = default);

    /// <inheritdoc cref="ExistsAsync(KvKey, CancellationToken)" />
    /// <param name="key">The key.</param>
    /// <param name="options">How fresh the answer has to be.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    ValueTask<bool> ExistsAsync(KvKey key, KvReadOptions options, CancellationToken cancellationToken = default);

    /// <summary>The entries of a range in key order, read batch by batch while they are consumed.</summary>
    /// <remarks>
    /// Each batch is a snapshot of its own unless <see cref="KvListOptions.Snapshot"/> is asked for. Memory stays flat however long the
    /// range is.
    /// </remarks>
    /// <param name="range">The range.</param>
    /// <param name="options">Limit, direction, cursor, batch size.</param>
    /// <param name="cancellationToken">Stops the listing.</param>
    /// <exception cref="ArgumentException">The cursor or an option is not valid; thrown at once, before anything is read.</exception>
    IAsyncEnumerable<KvEntry> ListAsync(KvRange range, KvListOptions? options = null, CancellationToken cancellationToken = default);

    /// <summary>The keys of a range in key order, without loading their values.</summary>
    /// <inheritdoc cref="ListAsync" path="/param|/exception" />
    IAsyncEnumerable<KvKey> ListKeysAsync(KvRange range, KvListOptions? options = null, CancellationToken cancellationToken = default);

    /// <summary>One page of a range, with the cursor of the next.</summary>
    /// <inheritdoc cref="ListAsync" path="/param|/exception" />
    ValueTask<KvPage> ListPageAsync(KvRange range, KvListOptions? options = null, CancellationToken cancellationToken = default);

    /// <summary>How many entries a range has, counted in the database.</summary>
    /// <param name="range">The range.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    ValueTask<long> CountAsync(KvRange range, CancellationToken cancellationToken = default);

    /// <inheritdoc cref="CountAsync(KvRange, CancellationToken)" />
    /// <param name="range">The range.</param>
    /// <param name="options">How fresh the number has to be.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    ValueTask<long> CountAsync(KvRange range, KvReadOptions options, CancellationToken cancellationToken = default);

    /// <summary>Keeps the store as it is now for any number of reads that belong together.</summary>
    /// <remarks>
    /// For reads of one key, of several keys and of one range the store's own calls are each of one snapshot by themselves. See
    /// <see cref="IKvSnapshot"/> for what it costs.
    /// </remarks>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The snapshot, to be disposed of as soon as it has served.</returns>
    ValueTask<IKvSnapshot> SnapshotAsync(CancellationToken cancellationToken = default);

    /// <summary>A part of this store as a store of its own: the keys below a prefix, without that prefix.</summary>
    /// <remarks>
    /// No call of a scope reads, writes, deletes, lists, counts or watches a key outside of it, and none of its cursors is good in another
    /// one. Group, concurrency, unique and rate keys of messages are its own, too; topics are those of all, and what a handler gets as its
    /// context's store is the scope that the message was enqueued in. Commits are shared with the whole store, as are versionstamps. Making
    /// a scope costs nothing, and it lives as long as this store.
    /// </remarks>
    /// <param name="prefix">
    /// What its keys begin with here: one part or more; as text, with the scopes that it is in, at most <see cref="KvLimits.MaxScopeSize"/>
    /// bytes.
    /// </param>
    /// <exception cref="ArgumentException">The prefix has no parts, or is too long.</exception>
    IKvStore Scope(KvKey prefix);

    /// <summary>Begins an atomic write: checks, mutations and messages that are committed all or not at all.</summary>
    KvAtomic Atomic();

    /// <summary>Sets a value.</summary>
    /// <typeparam name="T">The value's type; see <see cref="IKvValueSerializer"/> for how it is stored.</typeparam>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <param name="expireIn">How long the entry lives from the commit; null for ever. A former expiry is dropped.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>The versionstamp of the commit.</returns>
    /// <exception cref="ArgumentException">The key or value is over a limit.</exception>
    ValueTask<KvVersionstamp> SetAsync<T>(KvKey key, T value, TimeSpan? expireIn = null, CancellationToken cancellationToken = default);

    /// <summary>Sets a value with options.</summary>
    /// <inheritdoc cref="SetAsync{T}(KvKey, T, TimeSpan?, CancellationToken)" path="/typeparam|/returns|/exception" />
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <param name="options">How long the entry lives, and how the value is stored: as JSON, say, or as a counter.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <exception cref="KvException">The value cannot be stored in the encoding that the options name.</exception>
    ValueTask<KvVersionstamp> SetAsync<T>(KvKey key, T value, KvSetOptions options, CancellationToken cancellationToken = default);

    /// <summary>Deletes a key. An absent key is fine.</summary>
    /// <param name="key">The key.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>The versionstamp of the commit.</returns>
    ValueTask<KvVersionstamp> DeleteAsync(KvKey key, CancellationToken cancellationToken = default);

    /// <summary>Deletes all entries of a range in one commit.</summary>
    /// <param name="range">The range.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>The versionstamp of the commit.</returns>
    ValueTask<KvVersionstamp> DeleteRangeAsync(KvRange range, CancellationToken cancellationToken = default);

    /// <summary>Puts a message into the queue. It is delivered at least once.</summary>
    /// <typeparam name="T">The message's type; its <see cref="KvMessageAttribute"/> names it.</typeparam>
    /// <param name="message">The message.</param>
    /// <param name="options">Delay, retries, topic, where it goes if it cannot be delivered.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>The message's id, by which <see cref="IKvQueue"/> finds and cancels it, and the versionstamp of the commit.</returns>
    ValueTask<KvEnqueueResult> EnqueueAsync<T>(T message, KvEnqueueOptions? options = null, CancellationToken cancellationToken = default);

    /// <summary>Puts any number of messages into the queue, in their order, in batches of which each is one commit.</summary>
    /// <remarks>
    /// A batch has as many as one write may (<see cref="KvStoreOptions.MaxMutations"/>, <see cref="KvStoreOptions.MaxTotalSize"/>). The
    /// messages are taken from the sequence as they are needed, so it may be longer than memory is large.
    /// </remarks>
    /// <typeparam name="T">What the messages are passed as; the type that each has names it.</typeparam>
    /// <param name="messages">The messages.</param>
    /// <param name="options">What applies to each of them.</param>
    /// <param name="cancellationToken">Gives up before the next batch.</param>
    /// <returns>The ids of the messages, in their order.</returns>
    /// <exception cref="KvPartlyEnqueuedException">
    /// A batch failed, a message is not one that can be enqueued, or the token was cancelled, after earlier batches were committed. What
    /// failed before anything was committed is thrown as it is.
    /// </exception>
    ValueTask<IReadOnlyList<string>> EnqueueManyAsync<T>(
        IEnumerable<T> messages, KvEnqueueOptions? options = null, CancellationToken cancellationToken = default);

    /// <summary>Adds to an unsigned 64-bit counter, modulo 2^64, and says what it has then. An absent key counts as 0.</summary>
    /// <param name="key">The key.</param>
    /// <param name="value">What is added. To subtract n, add 2^64 - n, or use <see cref="KvAtomic.SumWithin"/>.</param>
    /// <param name="expireIn">
    /// How long a counter lives, from the commit, that this sum begins; null for ever. That of one which is there stays.
    /// </param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>The value after the sum.</returns>
    /// <exception cref="KvException">The value is no counter (<see cref="KvErrorKind.Type"/>).</exception>
    ValueTask<ulong> SumAsync(KvKey key, ulong value, TimeSpan? expireIn = null, CancellationToken cancellationToken = default);

    /// <summary>Folds an operand into the value of a key, by a merge operator of the store, in one commit.</summary>
    /// <inheritdoc cref="KvAtomic.Merge" path="/remarks|/typeparam" />
    /// <param name="key">The key; the operator says what becomes of an absent one.</param>
    /// <param name="name">The operator: one of <see cref="KvMerge"/>, or of those that <see cref="KvMergeExtensions"/> added.</param>
    /// <param name="operand">The operand.</param>
    /// <param name="expireIn">
    /// How long an entry lives, from the commit, that this merge begins; null for ever. That of one which is there stays.
    /// </param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>The versionstamp of the commit.</returns>
    /// <exception cref="ArgumentException">The store has no operator of that name, or the key or operand is over a limit.</exception>
    /// <exception cref="KvException">
    /// The operand cannot be stored (<see cref="KvErrorKind.Encoding"/>); it or what is stored is none of the operator's
    /// (<see cref="KvErrorKind.Type"/>); the operator failed or made a value that is over a limit (<see cref="KvErrorKind.Merge"/>).
    /// </exception>
    ValueTask<KvVersionstamp> MergeAsync<T>(
        KvKey key, string name, T operand, TimeSpan? expireIn = null, CancellationToken cancellationToken = default);

    /// <summary>Changes when an entry expires, without rewriting its value. It takes the versionstamp of the commit.</summary>
    /// <param name="key">The key.</param>
    /// <param name="expireIn">How long the entry lives from the commit; null for ever.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <returns>Whether there was an entry.</returns>
    ValueTask<bool> TouchAsync(KvKey key, TimeSpan? expireIn, CancellationToken cancellationToken = default);

    /// <summary>
    /// Runs a block whose reads are remembered as checks and whose writes are committed together, again and again until no other write came
    /// between.
    /// </summary>
    /// <typeparam name="T">What the block returns.</typeparam>
    /// <param name="body">The block. It may run several times: its effects belong into the transaction.</param>
    /// <param name="cancellationToken">Stops trying.</param>
    /// <returns>What the run that was committed returned.</returns>
    /// <exception cref="InvalidOperationException">
    /// The block committed <see cref="KvTransaction.Writes"/> itself, which is what this does.
    /// </exception>
    /// <exception cref="KvException">
    /// Others came between for <see cref="KvStoreOptions.CommandTimeout"/> (<see cref="KvErrorKind.Conflict"/>), or what a commit can
    /// throw.
    /// </exception>
    ValueTask<T> TransactAsync<T>(Func<KvTransaction, CancellationToken, Task<T>> body, CancellationToken cancellationToken = default);

    /// <inheritdoc cref="TransactAsync{T}" />
    ValueTask TransactAsync(Func<KvTransaction, CancellationToken, Task> body, CancellationToken cancellationToken = default);

    /// <summary>Follows some keys: their entries now, and again after each change, by any process.</summary>
    /// <remarks>
    /// Every element is one snapshot of all the keys. States in between may be skipped, the last one never is. Setting an equal value is a
    /// change. The sequence ends, without an exception, when the token is cancelled or the store is disposed. While the database is away it
    /// waits, however long that takes, and goes on with what is there then.
    /// </remarks>
    /// <param name="keys">One to <see cref="KvLimits.MaxWatchedKeys"/> keys.</param>
    /// <param name="cancellationToken">Ends the sequence.</param>
    IAsyncEnumerable<IReadOnlyList<KvEntry?>> WatchAsync(IReadOnlyList<KvKey> keys, CancellationToken cancellationToken = default);

    /// <summary>Makes durable what was committed before, by any process that shares the database.</summary>
    /// <remarks>
    /// It is for <see cref="KvDurability.Relaxed"/> writes: all others are durable when they are answered. It takes one full commit, which
    /// others share, and no version.
    /// </remarks>
    /// <param name="cancellationToken">Gives up while the flush waits.</param>
    /// <exception cref="InvalidOperationException">
    /// A <c>TransactionScope</c> is around the call, of which no commit can be part.
    /// </exception>
    /// <exception cref="KvException">The database is away, or full: what it has is as durable as before.</exception>
    ValueTask FlushAsync(CancellationToken cancellationToken = default);

    /// <summary>Follows a range: the keys that were changed since the last element, deletions included, by any process.</summary>
    /// <remarks>
    /// The first element comes at once and has no keys: from its versionstamp on nothing is missed, so list what is there when it has come.
    /// Then each element has every key that was changed since the one before, once, as the last commit left it; values are read as any
    /// others. It ends, waits and goes on as a watch of keys does. While the change feed is on (<see cref="IKvChanges"/>) it costs what was
    /// changed; while it is off, each look compares all keys of the range, of which there may be <see cref="KvLimits.MaxWatchedRange"/>.
    /// What expires is told of when it is deleted.
    /// </remarks>
    /// <param name="range">The range.</param>
    /// <param name="cancellationToken">Ends the sequence.</param>
    /// <exception cref="KvException">
    /// The range has too many keys for a store whose feed is off, or the feed was switched off meanwhile
    /// (<see cref="KvErrorKind.ChangesOff"/>).
    /// </exception>
    /// <exception cref="KvChangesTooOldException">
    /// What changed since the last element is no longer kept, or the database has gone back. List, and watch anew.
    /// </exception>
    IAsyncEnumerable<KvChangeSet> WatchAsync(KvRange range, CancellationToken cancellationToken = default);

    /// <summary>
    /// Follows the change feed: the keys that each commit after a versionstamp changed, deletions included, by any process, commit after
    /// commit in their order, and then those of each commit to come.
    /// </summary>
    /// <remarks>
    /// None is left out, repeated, split or told before an earlier one: a program that keeps the versionstamp of the last element together
    /// with what it made of it goes on from there after any crash. Begin with <see cref="IKvSnapshot.Versionstamp"/> of a snapshot that was
    /// listed, or with <see cref="KvChangesState.Oldest"/>. Commits that change nothing of the range are passed over; where there were only
    /// such for <see cref="KvStoreOptions.SweepInterval"/>, an element without keys tells how far the feed was followed, so that the
    /// versionstamp that is kept does not become too old. A key that one commit of the database wrote several times is told of once, as it
    /// was left. The sequence ends, without an exception, when the token is
    /// cancelled or the store is disposed; while the database is away it waits. What expires is told of when it is deleted. What is told of
    /// is on the disk: for commits of which this process does not know that, the sequence makes a flush first (<see cref="FlushAsync"/>).
    /// </remarks>
    /// <param name="after">The versionstamp after which to begin, of any commit.</param>
    /// <param name="range">The keys to tell of; null for all.</param>
    /// <param name="cancellationToken">Ends the sequence.</param>
    /// <exception cref="KvException">
    /// The feed is off (<see cref="KvErrorKind.ChangesOff"/>): switch it on by <see cref="IKvChanges.EnableAsync"/>. Or this process may
    /// not write the SQLite file, and so cannot bring to the disk what it would tell of (<see cref="KvErrorKind.Refused"/>).
    /// </exception>
    /// <exception cref="KvChangesTooOldException">
    /// Changes after that versionstamp are no longer kept, or the database has gone back.
    /// </exception>
    IAsyncEnumerable<KvChangeSet> ChangesAsync(KvVersionstamp after, KvRange? range = null, CancellationToken cancellationToken = default);

    /// <summary>Tells what became of a write whose commit was of unknown outcome.</summary>
    /// <param name="operationId">From <see cref="KvCommitUnknownException"/>.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <returns>The versionstamp if it was committed; null if it was not, and will not be. Good for seven days.</returns>
    ValueTask<KvVersionstamp?> ResolveAsync(KvOperationId operationId, CancellationToken cancellationToken = default);
}
