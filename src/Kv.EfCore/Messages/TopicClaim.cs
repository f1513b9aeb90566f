namespace Kv.Messages;

/// <summary>What is claimed of a topic.</summary>
/// <param name="Topic">The topic.</param>
/// <param name="Capacity">How many messages of it its worker has capacity for.</param>
/// <param name="Lease">How long they are held without a sign of life.</param>
internal sealed record TopicClaim(string Topic, int Capacity, TimeSpan Lease)
{
    public byte[] Pause { get; } = QueueKeys.Paused(Topic);

    public long LeaseMilliseconds { get; } = (long)Lease.TotalMilliseconds;
}
