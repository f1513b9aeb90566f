namespace Kv;

/// <summary>Whose clock decides what is expired, due or lapsed, and when a schedule ticks.</summary>
public enum KvClockSource
{
    /// <summary>
    /// The database server's where it has one (PostgreSQL) and the <see cref="TimeProvider"/> is the system's; else the
    /// <see cref="TimeProvider"/>'s, as on SQLite, where every process runs on the machine that has the file.
    /// </summary>
    Automatic,

    /// <summary>The database server's, whatever the machine's says, and whatever <see cref="TimeProvider"/> is injected. Refused on SQLite, which has none.</summary>
    Server,

    /// <summary>That of the <see cref="TimeProvider"/>, on PostgreSQL too. All processes of a store then have to agree on the time.</summary>
    Injected,
}
