namespace Kv.Connections;

/// <summary>What an error means for the step that met it.</summary>
internal enum Fault
{
    /// <summary>The statement is at fault, and would fail again.</summary>
    Permanent,

    /// <summary>Others were in the way (a lock, a serialization failure): the same step may be run again on the same connection.</summary>
    Busy,

    /// <summary>The connection is gone or going: the step may be run again on another one.</summary>
    Broken,

    /// <summary>The database has no room: it may have some later.</summary>
    Full,
}
