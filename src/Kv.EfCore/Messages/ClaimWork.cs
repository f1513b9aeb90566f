namespace Kv.Messages;

/// <summary>Takes due messages.</summary>
internal sealed class ClaimWork(IReadOnlyList<TopicClaim> topics, int limit, string owner) : Work<IReadOnlyList<ClaimedMessage>>
{
    public IReadOnlyList<TopicClaim> Topics { get; private set; } = topics;

    public int Limit { get; private set; } = limit;

    /// <summary>
    /// Reserves capacity when the claim becomes part of a group: what has become free while it waited counts. Null if that is known before.
    /// </summary>
    public Func<(IReadOnlyList<TopicClaim> Topics, int Limit)>? Reserve { get; init; }

    public string Owner { get; } = owner;

    /// <summary>Whether messages whose lease has lapsed are put back into the queue first.</summary>
    public bool Recover { get; init; }

    /// <summary>The ids of those that are put back; null for all that lapsed.</summary>
    public IReadOnlySet<string>? Recovers { get; init; }

    /// <summary>Whether it failed, and runs once more in the form that sets aside the rows that are to blame.</summary>
    public bool IsCareful { get; set; }

    /// <summary>Whether it set rows aside, which are waiting to become dead letters.</summary>
    public bool FoundStrays { get; set; }

    /// <summary>Whether it shares the commit of messages that it takes: those that nothing waits before never are in the queue.</summary>
    public bool SharesCommit { get; init; }

    /// <summary>Whether there is most likely more than it may take. Such a claim need not share a commit to be worth one.</summary>
    public bool IsOfBacklog { get; init; }

    /// <summary>Whether slots are looked for first, for messages of limited groups whose time has come.</summary>
    public bool FindsSlots { get; init; }

    /// <summary>It is part of a group that begins now.</summary>
    public void Begin()
    {
        if (Reserve is { } reserve)
        {
            (Topics, Limit) = reserve();
        }
    }
}
