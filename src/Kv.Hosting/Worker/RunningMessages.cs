using System.Collections.Concurrent;
using Kv.Handling;
using Kv.Messages;

namespace Kv.Worker;

/// <summary>The messages that a worker has claimed, each until its end is written.</summary>
internal sealed class RunningMessages(WorkerCapacity capacity)
{
    private readonly ConcurrentDictionary<Fence, HeldMessage> _all = [];

    /// <summary>Those that run while it is read; ones that come or go meanwhile may be among them.</summary>
    public IEnumerable<HeldMessage> All => _all.Select(static pair => pair.Value);

    /// <summary>Adds a message whose capacity is taken.</summary>
    public void Add(HeldMessage held) => _all[held.Message.Fence] = held;

    /// <summary>Frees the capacity of a message that has been handled, and runs until its end is written.</summary>
    public void Handled(HeldMessage held)
    {
        if (held.TryFreeCapacity())
        {
            capacity.Handled(held.Topic);
        }
    }

    /// <summary>Ends all of them as the end of their process would.</summary>
    public void Kill()
    {
        foreach (var held in All)
        {
            held.Kill();
            Remove(held);
        }
    }

    /// <summary>Ends a message.</summary>
    public void Remove(HeldMessage held)
    {
        if (_all.TryRemove(new(held.Message.Fence, held)))
        {
            Handled(held);
            capacity.Ended(held.Topic);
        }
    }
}
