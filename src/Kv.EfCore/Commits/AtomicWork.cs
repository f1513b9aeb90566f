using System.Diagnostics;
using Kv.Diagnostics;
using Kv.Messages;

namespace Kv.Commits;

/// <summary>A write of keys and messages.</summary>
internal class AtomicWork(AtomicWrite write) : Work<AtomicOutcome>
{
    public AtomicWrite Write { get; } = write;

    /// <summary>Whether it takes a version of the store, and with it the lock that orders all commits.</summary>
    public virtual bool TakesVersion => true;

    /// <summary>How durable its commit is; null for what the store's options say.</summary>
    public KvDurability? Durability { get; init; }

    /// <summary>The span of its caller; null while no listener traces.</summary>
    public Activity? Caller { get; } = KvTracing.Caller;

    public override int Size { get; } = 64 + write.Size;
}
