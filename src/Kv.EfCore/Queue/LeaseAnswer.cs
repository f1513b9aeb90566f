namespace Kv.Queue;

/// <summary>What became of the lease of a message that still runs.</summary>
internal enum LeaseAnswer
{
    /// <summary>It is extended.</summary>
    Extended,

    /// <summary>It is extended, and the message is to be cancelled.</summary>
    Cancelled,

    /// <summary>A transaction has the row locked: the message's end, or one of another program, for as long as it likes.</summary>
    Locked,
}
