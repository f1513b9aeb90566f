namespace Kv.Diagnostics;

/// <summary>Named points at which a test may fail, hold or cut what the engine does. Without a test they cost a null check.</summary>
internal sealed class FailPoints
{
    /// <summary>
    /// The transaction has begun, has read what its work asks for, and it is decided what it is to write; none of that is written.
    /// </summary>
    public const string BegunCommit = "commit:begun";

    /// <summary>The transaction is complete but for its COMMIT.</summary>
    public const string BeforeCommit = "commit:before";

    /// <summary>COMMIT was answered; the waiters have not been told.</summary>
    public const string AfterCommit = "commit:after";

    /// <summary>It is about to be found out whether a commit happened whose answer was lost.</summary>
    public const string Resolve = "commit:resolve";

    /// <summary>A connection is about to be opened.</summary>
    public const string Open = "open";

    /// <summary>The leases of running messages are about to be extended.</summary>
    public const string Extend = "lease:extend";

    /// <summary>
    /// Whether the sweeper of the store, its worker and its schedules do not run by themselves: a test runs their rounds.
    /// </summary>
    public bool IsStepped { get; init; }

    /// <summary>What chance is to come from, so that it is the same again; null for the system's.</summary>
    public Random? Random { get; init; }

    public Func<string, ValueTask>? OnHit { get; set; }

    /// <summary>What fails as asked, with a look at what a transaction is for; null for nothing.</summary>
    public IFaults? Faults { get; init; }

    /// <summary>Whether anything stands at the points.</summary>
    public bool IsWatched => OnHit is not null || Faults is not null;

    /// <summary>Whether an error is, or comes of, one that a test has asked for.</summary>
    public static bool IsInjected(Exception? error)
    {
        while (error is not (null or InjectedFaultException))
        {
            error = error.InnerException;
        }

        return error is not null;
    }

    /// <summary>A point is reached.</summary>
    /// <param name="point">Its name.</param>
    /// <param name="work">What the transaction does there; nothing for points outside of one.</param>
    public async ValueTask HitAsync(string point, CommitKinds work = CommitKinds.None)
    {
        if (OnHit is { } onHit && point is BeforeCommit or AfterCommit)
        {
            await onHit(point).ConfigureAwait(false);
        }

        if (Faults is { } faults)
        {
            await faults.HitAsync(point, work).ConfigureAwait(false);
        }
    }
}
