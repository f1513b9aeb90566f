namespace Kv;

/// <summary>What a commit survives once it is answered.</summary>
public enum KvDurability
{
    /// <summary>The end of the process, of the database server, and of the machine's power: SQLite <c>synchronous=FULL</c>, PostgreSQL's own settings.</summary>
    Full,

    /// <summary>
    /// On SQLite the end of the process; a power cut may take the last commits, but never one from the middle, and never corrupts the file
    /// (<c>synchronous=NORMAL</c>). The same as <see cref="Full"/> on PostgreSQL.
    /// </summary>
    Relaxed,
}
