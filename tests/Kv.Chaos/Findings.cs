using System.Globalization;

namespace Kv.Chaos;

/// <summary>What is left in the store and in the sink, against what was enqueued and what was broken.</summary>
internal sealed class Findings(IKvStore store, Producers producers, IReadOnlyList<Fault> faults, TimeSpan lease, string sink)
{
    // A fault shows for as long as a lease that it hit, and the recovery after it.
    private const long Slack = 1_000_000_000;
    private readonly List<string> _violations = [];

    // Whatever waits, what a killed worker held is next when its lease is over. Who takes it may be killed before the handler begins.
    private TimeSpan Latest => (2 * lease) + TimeSpan.FromSeconds(5);

    public IReadOnlyList<string> Violations => _violations;

    public async Task LookAsync()
    {
        var effects = new Dictionary<string, ulong>(StringComparer.Ordinal);
        await foreach (var entry in store.ListAsync(KvRange.Prefix(["effect"]), new KvListOptions { BatchSize = 1000 }))
        {
            effects[entry.Key[1].AsString()] = entry.As<ulong>();
        }

        var dead = new HashSet<string>(StringComparer.Ordinal);
        await foreach (var key in store.ListKeysAsync(KvRange.Prefix(["dead"]), new KvListOptions { BatchSize = 1000 }))
        {
            dead.Add(key[1].AsString());
        }

        var expected = producers.Enqueued.Values.Where(static m => m.Kind != ChaosKind.Dead).Select(static m => m.Id).ToHashSet(StringComparer.Ordinal);
        var undeliverable = producers.Enqueued.Values.Where(static m => m.Kind == ChaosKind.Dead).Select(static m => m.Id).ToHashSet(StringComparer.Ordinal);
        Report("messages lost", expected.Where(id => !effects.ContainsKey(id)).Concat(undeliverable.Where(id => !dead.Contains(id) && !effects.ContainsKey(id))));
        Report("effects through CompleteAsync other than once", effects.Where(static e => e.Value != 1).Select(static e => $"{e.Key}: {e.Value}"));
        Report("effects of messages that were not enqueued", effects.Keys.Where(id => !expected.Contains(id)));
        Report("dead letters that had not to be", dead.Where(id => !undeliverable.Contains(id)));
        Report("dead letters beside the keys", await store.ListKeysAsync(KvRange.Prefix(["dead_letters"])).Select(static k => k.ToString()).ToListAsync());
        Report("order of a group broken", await store.ListKeysAsync(KvRange.Prefix(["disorder"])).Select(static k => k.ToString()).ToListAsync());
        LookAtDeliveries();
    }

    // Delivered again at the same attempt: only a fault between the two explains it.
    private void LookAtDeliveries()
    {
        var last = new Dictionary<(string, string), (long At, string Worker)>();
        var running = new Dictionary<string, (long At, string Id, string Worker)>(StringComparer.Ordinal);
        long deliveries = 0, again = 0;
        List<string> unexplained = [], overlapping = [], early = [], late = [];
        List<long> orphaned = [];
        foreach (var line in File.ReadLines(sink))
        {
            if (line.Split('\t') is not [var what, var time, var worker, var payload, var attempt, _] || ChaosMessage.Read(payload) is not { } message)
            {
                _violations.Add($"A line of the sink cannot be read: {line}");
                continue;
            }

            var at = long.Parse(time, CultureInfo.InvariantCulture);
            if (what == "E")
            {
                if (message.Key is not null && running.TryGetValue(message.Key, out var own) && own.Id == message.Id && own.Worker == worker)
                {
                    running.Remove(message.Key);
                }

                continue;
            }

            deliveries++;
            if (last.TryGetValue((message.Id, attempt), out var before))
            {
                again++;
                var causes = Causes(before.At, at, before.Worker);
                var text = $"{message.Id}, attempt {attempt}: {before.Worker} at {before.At}, {worker} at {at}";
                if (causes.Count == 0)
                {
                    unexplained.Add(text);
                }
                else if (causes.TrueForAll(static fault => fault.Worker is not null))
                {
                    // Nothing but the kill of its worker, so it had to wait for the end of the lease. That began with the claim, some time
                    // before the handler on a busy machine; who does not wait for leases comes at once.
                    orphaned.Add(at - causes[0].At);
                    if (at - before.At < lease.TotalNanoseconds / 4)
                    {
                        early.Add(text);
                    }

                    if (at - causes[0].At > Latest.TotalNanoseconds)
                    {
                        late.Add(text);
                    }
                }
            }

            last[(message.Id, attempt)] = (at, worker);
            if (message.Key is not null)
            {
                if (running.TryGetValue(message.Key, out var other) && other.Id != message.Id && Causes(other.At, at, other.Worker).Count == 0)
                {
                    overlapping.Add($"{message.Key}: {other.Id} by {other.Worker} and {message.Id} by {worker}");
                }

                running[message.Key] = (at, message.Id, worker);
            }
        }

        Report("deliveries again without a fault", unexplained);
        Report("deliveries again after a kill, before the lease was over", early);
        Report("deliveries again after a kill, long after the lease was over", late);
        Report("messages of a group at the same time without a fault", overlapping);
        ChaosRun.Print("deliveries", deliveries);
        ChaosRun.Print("deliveries again after a fault", again);
        if (orphaned.Count > 0)
        {
            orphaned.Sort();
            Console.WriteLine(
                $"from the kill of a worker to the next delivery of what it held: median {orphaned[orphaned.Count / 2] / 1e9:0.0} s, longest {orphaned[^1] / 1e9:0.0} s");
        }
    }

    private List<Fault> Causes(long first, long second, string worker) =>
        [.. faults.Where(fault => (fault.Worker is null || fault.Worker == worker) && fault.At <= second && fault.Until >= first - Slack)];

    private void Report(string what, IEnumerable<string> found)
    {
        var all = found.ToList();
        ChaosRun.Print(what, all.Count);
        if (all.Count > 0)
        {
            _violations.Add($"{what}: {string.Join("; ", all.Take(10))}");
        }
    }
}
