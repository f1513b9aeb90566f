using Kv.Connections;

namespace Kv.Sqlite;

/// <summary>The locks of a file: the write gate, behind which the read lock is given up, and the read lock itself.</summary>
internal sealed class FileLocks(SharedReadLock readLock) : SharedLocks
{
    private readonly WriteGate _gate = new(readLock);

    public SharedReadLock ReadLock { get; } = readLock;

    public override Task EnterAsync() => _gate.EnterAsync();

    public override bool TryEnter(TimeSpan longest) => _gate.TryEnter(longest);

    public override void Leave() => _gate.Leave();

    public override bool Observe(Session session) => ReadLock.Observe(session);

    public override void Renew() => ReadLock.Renew();

    public override ValueTask DisposeAsync() => ReadLock.DisposeAsync();
}
