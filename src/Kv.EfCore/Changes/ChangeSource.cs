using Kv.Connections;

namespace Kv.Changes;

/// <summary>How the processes of a store learn of one another's commits.</summary>
internal abstract class ChangeSource
{
    /// <summary>The statement that sends a notice and reads the store's version; null where each process looks for itself.</summary>
    public abstract string? Notify { get; }

    /// <summary>The same for a transaction of the user's, of which it changes nothing; null where there is no such statement.</summary>
    public virtual string? NotifyWithin => null;

    /// <summary>Whether there is something to listen to.</summary>
    public abstract bool CanListen { get; }

    /// <summary>Begins to receive, over a session that is used for nothing else.</summary>
    public abstract ValueTask<NoticeFeed> OpenFeedAsync(Session session, CancellationToken cancellationToken);
}
