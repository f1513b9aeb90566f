using Kv.Topics;

namespace Kv.Handling;

/// <summary>For how long a running message is known to be this worker's.</summary>
/// <param name="topic">How long its leases are.</param>
/// <param name="time">The monotonic clock.</param>
/// <param name="claimedAt">When the claim was sent: the lease counts from no later than that.</param>
internal sealed class MessageLease(TopicSettings topic, TimeProvider time, long claimedAt)
{
    private const double Trusted = 0.9;
    private const int ManyLeases = 10;
    private readonly long _claimedAt = claimedAt;
    private long _extendedAt = claimedAt;
    private volatile bool _isLost;
    private bool _isReported;

    /// <summary>How long it is since the message was claimed.</summary>
    public TimeSpan SinceClaimed => time.GetElapsedTime(_claimedAt);

    /// <summary>Whether the term is over that is known to be granted.</summary>
    public bool HasLapsed => SinceExtended > topic.ClaimDuration;

    /// <summary>
    /// Whether the lease can be believed in: where it cannot be extended, that ends before its last moment, when others may take the
    /// message.
    /// </summary>
    public bool IsTrusted => SinceExtended <= topic.ClaimDuration * Trusted;

    /// <summary>
    /// Whether enough is left of the lease for a handler to begin: an extension that comes late does not lose it.
    /// </summary>
    public bool IsFresh => SinceExtended <= topic.ClaimDuration / 2;

    /// <summary>Whether the lease is known to be lost, or not believed in any more. It stays so.</summary>
    public bool IsLost => _isLost;

    /// <summary>How long ago the term was asked for that is known to be granted.</summary>
    public TimeSpan SinceExtended => time.GetElapsedTime(Interlocked.Read(ref _extendedAt));

    /// <summary>A lease that counts from the moment at which its extension was sent.</summary>
    public void Extend(long sentAt) => Interlocked.Exchange(ref _extendedAt, sentAt);

    public void Lose() => _isLost = true;

    /// <summary>Whether the message runs for longer than its lease was chosen for, and that has not been reported: once.</summary>
    public bool TryReport()
    {
        if (_isReported || SinceClaimed <= topic.Lease * ManyLeases)
        {
            return false;
        }

        return _isReported = true;
    }
}
