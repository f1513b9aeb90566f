namespace Kv;

/// <summary>
/// Changes that were asked for may be missing: they are no longer kept, or the database has gone back to an earlier state of itself.
/// </summary>
/// <remarks>List what is followed, and follow from <see cref="FollowFrom"/>: what changes while it is listed is told of again.</remarks>
public sealed class KvChangesTooOldException : KvException
{
    internal KvChangesTooOldException(string message, KvVersionstamp followFrom)
        : base(KvErrorKind.ChangesTooOld, message) =>
        FollowFrom = followFrom;

    /// <summary>From where to follow after a listing that begins now.</summary>
    public KvVersionstamp FollowFrom { get; }
}
