namespace Kv.Simulated;

/// <summary>What is known of the jobs: which handlers run where, what they did, and what became of them.</summary>
/// <param name="lease">How long a message is claimed.</param>
internal sealed class Jobs(TimeSpan lease)
{
    // A lease ends in the database a little before it does by the options.
    private readonly TimeSpan _surely = lease * 0.85;
    private readonly Dictionary<int, Known> _all = [];
    private readonly Dictionary<(int Process, int Number), DateTimeOffset> _open = [];

    // When a process has claimed a job for the last time; what it holds is extended since.
    private readonly Dictionary<(int Process, int Number), DateTimeOffset> _claimed = [];

    /// <summary>A process has claimed a message.</summary>
    public void Held(int process, int number, DateTimeOffset at)
    {
        var since = _open.GetValueOrDefault((process, number));
        if (at > _claimed.GetValueOrDefault((process, number)))
        {
            (_claimed[(process, number)], Of(number).Owner) = (at, process);
        }

        _open[(process, number)] = at > since ? at : since;
    }

    /// <summary>The leases of what a process holds are extended.</summary>
    public void Extended(int process, DateTimeOffset at)
    {
        foreach (var open in _open.Keys.Where(open => open.Process == process).ToList())
        {
            _open[open] = at;
        }
    }

    /// <summary>A handler begins.</summary>
    /// <returns>Null if it may; else why it may not.</returns>
    public string? Begin(int process, Job job, int attempt, DateTimeOffset at)
    {
        var known = Of(job.Number);
        if (known.IsAcknowledged)
        {
            return $"job {job.Number} was acknowledged, and comes again";
        }

        foreach (var ((other, number), since) in _open)
        {
            if (number == job.Number && other != process && known.Running.Contains(other) && at - since < _surely)
            {
                return $"job {number} begins in process {process} while it runs in process {other}, "
                    + $"which has extended its lease {at - since} ago";
            }
        }

        if (attempt < known.Attempt || attempt > known.Attempt + 1)
        {
            return $"job {job.Number} comes as attempt {attempt} after attempt {known.Attempt}";
        }

        if (attempt > known.Attempt && known.Attempt > known.Failed)
        {
            return $"job {job.Number} comes as attempt {attempt}, and attempt {known.Attempt} has not failed";
        }

        known.Attempt = attempt;
        known.Running.Add(process);
        return null;
    }

    /// <summary>A handler fails.</summary>
    public void Failed(int number, int attempt) => Of(number).Failed = attempt;

    /// <summary>A handler has done what it does.</summary>
    public void Done(int number) => Of(number).IsDone = true;

    /// <summary>A process has completed a job.</summary>
    /// <returns>Null if it may; else why it may not.</returns>
    public string? Completed(int process, int number) => Of(number).Owner == process
        ? null
        : $"job {number} was completed by process {process}, and process {Of(number).Owner} had taken it over";

    /// <summary>A delivery has ended.</summary>
    /// <returns>Null if it may have done so; else why it may not.</returns>
    public string? Ended(int process, KvDelivery delivery)
    {
        var number = delivery.As<Job>()!.Number;
        _open.Remove((process, number));
        Of(number).Running.Remove(process);
        if (delivery.Outcome is KvOutcome.Completed or KvOutcome.DeadLettered)
        {
            Of(number).IsAcknowledged = true;
        }

        return delivery.Outcome == KvOutcome.Completed ? Completed(process, number) : null;
    }

    /// <summary>A process is gone.</summary>
    public void Killed(int process)
    {
        foreach (var open in _open.Keys.Where(open => open.Process == process).ToList())
        {
            _open.Remove(open);
        }

        foreach (var known in _all.Values)
        {
            known.Running.Remove(process);
        }
    }

    /// <summary>Whether the queue holds what it must and nothing else.</summary>
    /// <param name="enqueued">The jobs that were enqueued.</param>
    /// <param name="present">Those in the queue and those that run, by their rows.</param>
    /// <param name="undelivered">Those that were written to their keys.</param>
    /// <param name="isDone">Whether an effect of a job says that it is done.</param>
    /// <returns>Null if so; else what is wrong.</returns>
    public string? Check(
        IReadOnlySet<int> enqueued, IReadOnlyList<int> present, IReadOnlySet<int> undelivered, Func<int, bool> isDone)
    {
        var there = new HashSet<int>();
        foreach (var number in present)
        {
            if (!there.Add(number))
            {
                return $"job {number} is there twice";
            }

            if (!enqueued.Contains(number))
            {
                return $"job {number} is there, and was not enqueued";
            }

            if (Of(number).IsAcknowledged || undelivered.Contains(number) || isDone(number))
            {
                return $"job {number} has ended, and is there still";
            }
        }

        foreach (var number in enqueued.Where(number => !there.Contains(number)))
        {
            if (!Of(number).IsDone && !isDone(number) && !undelivered.Contains(number))
            {
                return $"job {number} is lost";
            }

            if (isDone(number) && undelivered.Contains(number))
            {
                return $"job {number} is done, and was undelivered as well";
            }
        }

        return undelivered.FirstOrDefault(number => Of(number).Failed < 3) is > 0 and var early
            ? $"job {early} was undelivered after {Of(early).Failed} failed attempts"
            : null;
    }

    private Known Of(int number) => _all.TryGetValue(number, out var known) ? known : _all[number] = new Known();

    private sealed class Known
    {
        /// <summary>The process that has claimed it last.</summary>
        public int Owner { get; set; }

        public int Attempt { get; set; } = 1;

        public int Failed { get; set; }

        public bool IsDone { get; set; }

        public bool IsAcknowledged { get; set; }

        public HashSet<int> Running { get; } = [];
    }
}
