namespace Kv.Handling;

/// <summary>Why a handler is asked to stop. Of several reasons the last in this order counts for what becomes of its message.</summary>
internal enum InterruptReason
{
    /// <summary>It is not.</summary>
    None,

    /// <summary>The worker stops, or the lease is lost.</summary>
    Stopping,

    /// <summary>The handler took longer than it may.</summary>
    Late,

    /// <summary>The message is to be cancelled.</summary>
    Cancelled,
}
