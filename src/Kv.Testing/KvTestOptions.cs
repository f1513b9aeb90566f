using Kv.Time;
using Microsoft.Extensions.Logging;

namespace Kv;

/// <summary>How a test drives a store and its worker.</summary>
public sealed class KvTestOptions
{
    /// <summary>What time it is on the test's clock at first.</summary>
    /// <value>Default: 2026-01-01 00:00 UTC, so that a test does the same on every day.</value>
    public DateTimeOffset Start { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <summary>
    /// How long, in real time, handlers may run before the test is told that they do not end. Handlers that wait for the test's clock are
    /// not waited for.
    /// </summary>
    /// <value>Default: 30 seconds. More than zero.</value>
    public TimeSpan Patience { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How many deliveries there may be at one moment of the test's clock: more are taken for messages that enqueue themselves without end.
    /// </summary>
    /// <value>Default: 10,000. At least 1.</value>
    public int MaxDeliveries { get; set; } = 10_000;

    /// <summary>From which level on what is logged is shown, with the times of the test's clock.</summary>
    /// <value>
    /// Default: null, for what the variable of the environment <c>EFKV_LOG</c> says, such as <c>debug</c>, and for nothing
    /// where it is not set. Of <c>Microsoft</c>'s categories, warnings are shown, and all by <see cref="LogLevel.Trace"/>.
    /// </value>
    public LogLevel? LogLevel { get; set; }

    /// <summary>Takes the lines of the log: the output of a test, by most frameworks.</summary>
    /// <value>Default: null, for the standard error stream.</value>
    public Action<string>? Log { get; set; }

    /// <summary>What fails from the start on: the opening of the store, for one.</summary>
    /// <value>Nothing. It is <see cref="KvTestHost.Faults"/> later.</value>
    public KvTestFaults Faults { get; } = new();

    /// <summary>The clock of another host, which this one shares; null for one of its own.</summary>
    internal TestClock? Clock { get; set; }

    /// <summary>What chance is to come from; null for the system's.</summary>
    internal Random? Random { get; set; }

    internal void Validate()
    {
        if (Patience <= TimeSpan.Zero)
        {
            throw new ArgumentException($"KvTestOptions.Patience is {Patience}; it must be more than zero.");
        }

        if (MaxDeliveries < 1)
        {
            throw new ArgumentException($"KvTestOptions.MaxDeliveries is {MaxDeliveries}; it must be at least 1.");
        }
    }
}
