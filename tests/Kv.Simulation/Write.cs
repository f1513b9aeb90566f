namespace Kv.Simulated;

/// <summary>An atomic write: its parts in their order, and what its caller was told.</summary>
internal sealed class Write
{
    private static readonly IReadOnlyList<TimeSpan> Delays = [TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10)];

    public List<Part> Parts { get; } = [];

    /// <summary>How it ended; null while it has not.</summary>
    public Answer? Told { get; private set; }

    /// <summary>The versionstamp that it got, if it was committed.</summary>
    public KvVersionstamp Stamp { get; private set; }

    /// <summary>By which id to ask, if its outcome is unknown.</summary>
    public KvOperationId OperationId { get; private set; }

    /// <summary>When it was committed or refused: the clock stands still during a step.</summary>
    public DateTimeOffset At { get; private set; }

    /// <summary>Adds the parts to a write of the store's.</summary>
    public void Build(KvAtomic atomic)
    {
        foreach (var part in Parts)
        {
            _ = part.Kind switch
            {
                PartKind.Check => atomic.Check(part.Key, part.Stamp),
                PartKind.Set => atomic.Set(part.Key, part.Text, part.ExpireIn),
                PartKind.Delete => atomic.Delete(part.Key),
                PartKind.DeleteRange => atomic.DeleteRange(KvRange.Prefix(part.Key)),
                PartKind.Sum => atomic.Sum(part.Key, part.Operand),
                PartKind.Max => atomic.Max(part.Key, part.Operand),
                _ => atomic.Enqueue(part.Job!, OptionsOf(part.Job!)),
            };
        }
    }

    /// <summary>Commits it by a call of the store's, and notes what the caller is told.</summary>
    /// <exception cref="SimulationFailedException">The store threw what it never should.</exception>
    public async Task RunAsync(Func<Task<KvCommitResult>> commit, TimeProvider time)
    {
        try
        {
            var result = await commit();
            (Told, Stamp) = result.Succeeded ? (Answer.Committed, result.Versionstamp) : (Answer.Refused, default);
        }
        catch (KvCommitUnknownException error)
        {
            (Told, OperationId) = (Answer.Unknown, error.OperationId);
        }
        catch (KvException error)
        {
            Told = error.Kind switch
            {
                KvErrorKind.Unavailable => Answer.Unavailable,
                KvErrorKind.LeaseLost => Answer.LeaseLost,
                _ => Answer.Invalid,
            };
        }

        At = time.GetUtcNow();
    }

    public override string ToString() => $"{string.Join(", ", Parts)}: {Told}{(Told == Answer.Committed ? $" {Stamp}" : "")}";

    private static KvEnqueueOptions OptionsOf(Job job) => new()
    {
        BackoffSchedule = Delays,
        KeysIfUndelivered = [["undelivered", job.Number]],
        Delay = job.Kind == JobKind.Plain ? TimeSpan.FromSeconds(job.Times) : TimeSpan.Zero,
    };
}

/// <summary>What the caller of a write is told.</summary>
internal enum Answer
{
    /// <summary>It is committed.</summary>
    Committed,

    /// <summary>A check did not hold, and nothing was written.</summary>
    Refused,

    /// <summary>A part cannot be done, and nothing was written.</summary>
    Invalid,

    /// <summary>The database is away, and nothing was written.</summary>
    Unavailable,

    /// <summary>The message that it was to end is another worker's, and nothing was written.</summary>
    LeaseLost,

    /// <summary>It is committed or not.</summary>
    Unknown,
}
