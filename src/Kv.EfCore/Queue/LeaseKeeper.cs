using System.Data.Common;
using Kv.Connections;
using Kv.Messages;

namespace Kv.Queue;

/// <summary>
/// Extends leases on a connection of its own and on the caller's own thread, so that handlers which block threads or take every pooled
/// connection cannot hold them up.
/// </summary>
internal abstract class LeaseKeeper(Session session, Driver driver) : IDisposable
{
    protected Session Session { get; } = session;

    protected Driver Driver { get; } = driver;

    /// <summary>Extends the leases of running messages.</summary>
    /// <returns>What became of those that still run here.</returns>
    /// <exception cref="DbException">The database is away or locked (<see cref="IsBusy"/>): nothing was extended.</exception>
    public abstract Dictionary<Fence, LeaseAnswer> Extend(IReadOnlyCollection<(Fence Fence, TimeSpan Lease)> messages, string owner);

    /// <summary>Whether a lock was in the way: the same connection may try again.</summary>
    public bool IsBusy(Exception error) => Driver.Classify(error) == Fault.Busy;

    /// <summary>Hears of an error for which it is given up.</summary>
    public void Blame(Exception error) => Session.Blame(error);

    public void Dispose() => Session.Dispose();

    /// <summary>Runs a statement that extends, and notes what it says of each message.</summary>
    protected static void Run(Statement statement, string owner, Dictionary<Fence, LeaseAnswer> held)
    {
        using var reader = statement.Read();
        while (reader.Read())
        {
            var answer = reader.IsDBNull(2) ? LeaseAnswer.Locked : reader.GetInt64(2) == 1 ? LeaseAnswer.Cancelled : LeaseAnswer.Extended;
            held.Add(new Fence(reader.GetString(0), owner, reader.GetInt64(1)), answer);
        }
    }
}
