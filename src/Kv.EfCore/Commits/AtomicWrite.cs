using Kv.Diagnostics;
using Kv.Keys;
using Kv.Messages;

namespace Kv.Commits;

/// <summary>One all-or-nothing write in the engine's terms: bytes, not objects.</summary>
/// <param name="scope">What the store shows that it is written through; null for all.</param>
internal sealed class AtomicWrite(KeyScope? scope = null)
{
    /// <summary>What its keys are in.</summary>
    public KeyScope Scope { get; } = scope ?? KeyScope.All;

    public List<Check> Checks { get; } = [];

    public List<Mutation> Mutations { get; } = [];

    public List<NewMessage> Messages { get; } = [];

    /// <summary>How many changes and messages it brings.</summary>
    public int Count => Mutations.Count + Messages.Count;

    /// <summary>The held message that this write acknowledges: if it is not held any more, nothing is written.</summary>
    public Fence? Acknowledges { get; set; }

    /// <summary>The waiting message that this write takes out of the queue: if it does not wait any more, nothing is written.</summary>
    public string? Removes { get; set; }

    /// <summary>The row that this write takes out of the queue, since no claim takes it: if it is gone, nothing is written.</summary>
    public StrayRow? Clears { get; set; }

    /// <summary>What the end of the message concerns, of one that is acknowledged, removed or cleared.</summary>
    public MessageKeys? Ends { get; set; }

    /// <summary>Tokens that a message asks for: it gets one of each rate, or none.</summary>
    public IReadOnlyList<RateRequest> Rates { get; init; } = [];

    /// <summary>Groups whose next message is released if there is a slot for it.</summary>
    public IReadOnlyList<MessageGroup> Unblocks { get; set; } = [];

    /// <summary>Whether the outcome depends on what is stored, so that rows must be read under the lock first.</summary>
    public bool Reads => Acknowledges is not null || Removes is not null || Clears is not null || Rates.Count > 0 || Checks.Count > 0
        || Messages.Exists(static m => m.UniqueKey is not null)
        || Mutations.Exists(static m => m.Kind is not (MutationKind.Set or MutationKind.Delete or MutationKind.DeleteRange));

    /// <summary>Whether it only brings messages that no other one orders or bars, so that it needs no position among the commits.</summary>
    public bool IsPlain => Acknowledges is null && Removes is null && Clears is null && Ends is null && Rates.Count == 0
        && Unblocks.Count == 0 && Checks.Count == 0 && Mutations.Count == 0
        && Messages.TrueForAll(static m => m.GroupKey is null && m.UniqueKey is null && m.Scope is null);

    /// <summary>What it is for. Tokens of rates, and the sweeping of what has expired, are no application's writes.</summary>
    public CommitKinds Kinds =>
        (Acknowledges is null ? CommitKinds.None : CommitKinds.Ends)
        | (Messages.Count > 0 || Removes is not null || Mutations.Exists(static m => m.Kind != MutationKind.DeleteExpired)
            || (Acknowledges is null && Mutations.Count == 0 && Rates.Count == 0)
            ? CommitKinds.Writes
            : CommitKinds.None);

    public int Size => Mutations.Sum(static m => m.Value.Length + m.Key.Length) + Messages.Sum(static m => m.Data.Length);
}
