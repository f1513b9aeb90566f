namespace Kv.Simulated;

/// <summary>A message of the simulation.</summary>
/// <param name="Number">Which one.</param>
/// <param name="Kind">What its handler does.</param>
/// <param name="Times">How many attempts fail, or how many seconds the handler waits.</param>
[KvMessage("job")]
internal sealed record Job(int Number, JobKind Kind, int Times);

/// <summary>What a handler does.</summary>
internal enum JobKind
{
    /// <summary>It returns.</summary>
    Plain,

    /// <summary>It completes its message with a write.</summary>
    Complete,

    /// <summary>It fails a few times; too often for some, which become undelivered.</summary>
    Fail,

    /// <summary>It waits for the clock, and then completes with a write.</summary>
    Wait,

    /// <summary>It writes by itself and returns: what it writes happens at least once.</summary>
    Write,

    /// <summary>It completes with another message.</summary>
    Chain,

    /// <summary>Its process ends in the middle of it, the first time.</summary>
    Kill,
}
