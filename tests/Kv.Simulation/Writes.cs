namespace Kv.Simulated;

/// <summary>Makes writes by chance.</summary>
internal sealed class Writes(Random random)
{
    private int _jobs;

    /// <summary>The key that is watched: a write to it is made often.</summary>
    public static KvKey Watched { get; } = ["d", 0];

    /// <summary>A key that writers read and write.</summary>
    public KvKey NextKey() => random.Next(3) == 0 ? Watched : random.Next(3) == 0 ? ["c", random.Next(3)] : ["d", random.Next(6)];

    /// <summary>A write.</summary>
    /// <param name="read">What its writer has read before; null for nothing.</param>
    /// <param name="stamp">The versionstamp that it read; null for nothing there.</param>
    public Write Next(KvKey? read, KvVersionstamp? stamp)
    {
        var write = new Write();
        if (read is not null)
        {
            write.Parts.Add(new Part(PartKind.Check, read) { Stamp = stamp });
            write.Parts.Add(NextPart(read));
        }

        for (var count = 1 + random.Next(3); count > 0; count--)
        {
            write.Parts.Add(NextPart(NextKey()));
        }

        return write;
    }

    /// <summary>A write with which a job is completed.</summary>
    public Write Completion(Job job)
    {
        var write = new Write();
        write.Parts.Add(new Part(PartKind.Sum, ["done", job.Number]) { Operand = 1 });
        if (job.Kind == JobKind.Chain && job.Times > 0)
        {
            write.Parts.Add(NextJob(job.Times - 1));
        }

        return write;
    }

    /// <summary>A write of a handler.</summary>
    public Write Effect()
    {
        var write = new Write();
        write.Parts.Add(new Part(PartKind.Sum, ["effects"]) { Operand = 1 });
        write.Parts.Add(new Part(PartKind.Set, NextKey()) { Text = Text() });
        return write;
    }

    private Part NextPart(KvKey key) => random.Next(12) switch
    {
        < 4 => new Part(PartKind.Set, key) { Text = Text() },
        4 => new Part(PartKind.Set, key) { Text = Text(), ExpireIn = TimeSpan.FromSeconds(1 + random.Next(10)) },
        5 => new Part(PartKind.Delete, key),
        6 => random.Next(3) == 0 ? new Part(PartKind.DeleteRange, ["d"]) : new Part(PartKind.Delete, key),
        7 => new Part(PartKind.Sum, key) { Operand = (ulong)random.Next(1, 5) },
        8 => new Part(PartKind.Max, key) { Operand = (ulong)random.Next(1, 20) },
        _ => NextJob(random.Next(3)),
    };

    private Part NextJob(int times)
    {
        var kinds = Enum.GetValues<JobKind>();
        var kind = kinds[random.Next(kinds.Length)];
        var job = new Job(++_jobs, kind, kind switch
        {
            JobKind.Fail => 1 + random.Next(3),
            JobKind.Wait => 1 + random.Next(40),
            _ => times,
        });
        return new Part(PartKind.Enqueue, ["job", job.Number]) { Job = job };
    }

    private string Text() => $"v{random.Next(1000)}";
}
