namespace Kv.Handling;

/// <summary>How far a claimed message is on its way out of this worker.</summary>
internal enum HeldState
{
    /// <summary>Its handler runs, or is about to; its end has not been begun.</summary>
    Running,

    /// <summary>A write of its handler takes it out of the queue.</summary>
    Completing,

    /// <summary>It left the queue with a write of its handler.</summary>
    Completed,

    /// <summary>A write of its handler may have taken it out of the queue; it could not be found out.</summary>
    Unsure,

    /// <summary>
    /// Its removal is, or becomes, part of a transaction of its handler's, whose end is not seen here; its row may be locked by it.
    /// </summary>
    Joined,

    /// <summary>The worker writes its end.</summary>
    Ending,

    /// <summary>The worker stops, and gives it back while its handler is still running.</summary>
    Released,
}
