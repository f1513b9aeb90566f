namespace Kv;

/// <summary>What a commit survives once it is answered. In every case its process may end, and the order of commits is kept.</summary>
public enum KvDurability
{
    /// <summary>
    /// The end of the database server and of the machine's power: SQLite <c>synchronous=FULL</c>, PostgreSQL's own settings.
    /// </summary>
    Full,

    /// <summary>
    /// A power cut, and on PostgreSQL the end of the server's processes, may take the last commits, but never one from the middle, and
    /// never corrupts anything: SQLite <c>synchronous=NORMAL</c>, PostgreSQL <c>synchronous_commit=off</c>. The next <see cref="Full"/>
    /// commit, or <see cref="IKvStore.FlushAsync"/>, makes them durable; on PostgreSQL so does time, three times <c>wal_writer_delay</c>.
    /// </summary>
    Relaxed,
}
