namespace Kv;

/// <summary>What a store and its worker can be made to fail at: <see cref="KvTestFaults"/>.</summary>
/// <remarks>
/// Commits are those that write what an application asked for: its atomic writes, ticks of schedules, dead letters. What a worker does on
/// its own account (claims, ends of messages, tokens of rates) and the sweeper's deletes are not counted among them.
/// </remarks>
public enum KvFault
{
    /// <summary>
    /// A commit fails before any of it is written. Its caller gets a <see cref="KvException"/> (<see cref="KvErrorKind.Unavailable"/>).
    /// </summary>
    BeforeCommit = 0,

    /// <summary>
    /// A commit fails half-way: on SQLite all of it is written when the transaction is taken back, on PostgreSQL the last message to the
    /// server, with what is written and COMMIT, is not sent. Its caller gets the same as for <see cref="BeforeCommit"/>.
    /// </summary>
    HalfCommit = 1,

    /// <summary>
    /// A commit happens, and its answer is lost for good. Its caller gets a <see cref="KvCommitUnknownException"/>, and
    /// <see cref="IKvStore.ResolveAsync"/> tells that it happened.
    /// </summary>
    AfterCommit = 2,

    /// <summary>
    /// The connection breaks before COMMIT is sent. The store takes another one and writes again: its caller notices nothing.
    /// </summary>
    CutCommit = 3,

    /// <summary>
    /// The connection breaks behind COMMIT. The store takes another one and finds out what became of the commit: its caller notices
    /// nothing.
    /// </summary>
    CutAnswer = 4,

    /// <summary>
    /// A connection cannot be opened. The call that wants it gets a <see cref="KvException"/> (<see cref="KvErrorKind.Unavailable"/>). A
    /// store opens connections at its first calls, and after one that broke.
    /// </summary>
    Open = 5,

    /// <summary>
    /// A listing ends with a <see cref="KvException"/> (<see cref="KvErrorKind.Unavailable"/>): before its first row, or where
    /// <see cref="KvTestFaults.FailListing"/> says.
    /// </summary>
    Listing = 6,

    /// <summary>
    /// The answer to a claim is lost: its messages are the worker's, which does not know of them. They come when their leases have lapsed.
    /// </summary>
    Claim = 7,

    /// <summary>A heartbeat of the worker is lost: leases are not extended, until the next one.</summary>
    Heartbeat = 8,

    /// <summary>
    /// What became of a message is not written (handled, another attempt, a dead letter). A handler that calls <c>CompleteAsync</c> gets an
    /// error; otherwise the message ends as <see cref="KvOutcome.Unfinished"/>, and comes again when its lease has lapsed.
    /// </summary>
    Acknowledge = 9,
}
