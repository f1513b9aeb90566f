namespace Kv.Connections;

/// <summary>What a session is for.</summary>
internal enum SessionRole
{
    /// <summary>Reads only.</summary>
    Read,

    /// <summary>Runs the groups of the commit pipeline.</summary>
    Write,

    /// <summary>Keeps leases alive, apart from all other traffic.</summary>
    Heartbeat,

    /// <summary>Hears of the commits of other processes.</summary>
    Listen,
}
