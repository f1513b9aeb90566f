using Kv.Queue;

namespace Kv.Worker;

/// <summary>
/// Decides which lapsed leases are taken over. Where a deadline proves nothing, since the program that runs the message says nothing of
/// itself or a clock may have been set, a lease is watched, on the monotonic clock: a worker that lives extends what it runs.
/// </summary>
/// <param name="time">The clock.</param>
/// <param name="term">How long a lease of a topic is watched.</param>
/// <param name="isDead">Whether an owner is known not to live any more.</param>
internal sealed class LeaseWatch(TimeProvider time, Func<string, TimeSpan> term, Func<string, bool> isDead)
{
    private Dictionary<string, (LapsedLease Lease, long Since)> _watched = new(StringComparer.Ordinal);

    /// <summary>Whether leases are watched whose deadline is not there yet.</summary>
    public bool HasLooked { get; private set; }

    /// <summary>Judges leases.</summary>
    /// <param name="leases">Leases that lapsed, or soon will: those are but watched.</param>
    /// <param name="believes">Whether deadlines of workers can be believed.</param>
    /// <param name="lapsed">What has lapsed by now: deadlines up to this, in Unix milliseconds.</param>
    /// <returns>The ids of the messages that may be taken over, and how long until one that is watched may be; null if none is.</returns>
    public (IReadOnlySet<string> Free, TimeSpan? Wait) Judge(List<LapsedLease> leases, bool believes, long lapsed)
    {
        HashSet<string> free = new(StringComparer.Ordinal);
        Dictionary<string, (LapsedLease Lease, long Since)> watched = new(StringComparer.Ordinal);
        TimeSpan? wait = null;
        var now = time.GetTimestamp();
        foreach (var lease in leases)
        {
            if (lease.Owner.Length > 0 && (believes || (lease.Deadline <= lapsed && isDead(lease.Owner))))
            {
                free.Add(lease.Id);
                continue;
            }

            var since = _watched.TryGetValue(lease.Id, out var known) && known.Lease == lease ? known.Since : now;
            watched[lease.Id] = (lease, since);
            var left = term(lease.Topic) - time.GetElapsedTime(since, now);
            if (lease.Deadline > lapsed)
            {
                continue;
            }

            if (left <= TimeSpan.Zero)
            {
                free.Add(lease.Id);
            }
            else
            {
                wait = left < wait || wait is null ? left : wait;
            }
        }

        (_watched, HasLooked) = (watched, true);
        return (free, wait);
    }
}
