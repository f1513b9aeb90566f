namespace Kv.Diagnostics;

/// <summary>What a transaction of the store is for, as far as fail points tell it apart.</summary>
[Flags]
internal enum CommitKinds
{
    None = 0,

    /// <summary>It writes what an application asked for: entries, messages, the removal of a message, a dead letter.</summary>
    Writes = 1,

    /// <summary>It claims messages.</summary>
    Claims = 2,

    /// <summary>It ends messages: handled, put back, or moved to the dead letters.</summary>
    Ends = 4,
}
