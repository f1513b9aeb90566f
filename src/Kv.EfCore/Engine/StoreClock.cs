namespace Kv.Engine;

/// <summary>The store's time: one injected clock, and for queues on a database server that server's clock.</summary>
/// <remarks>
/// Machines that share a database server need not agree on the time, so due times and leases are judged by the server's clock. A clock that
/// a program injects in place of the system's drives these too.
/// </remarks>
internal sealed class StoreClock(TimeProvider time, KvDialect dialect)
{
    public TimeProvider Time { get; } = time;

    public bool ServerJudgesQueues { get; } = dialect.HasServerClock && ReferenceEquals(time, TimeProvider.System);

    public long Now => Time.GetUtcNow().ToUnixTimeMilliseconds();
}
