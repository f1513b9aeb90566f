using Kv.Diagnostics;
using Kv.Faults;
using Kv.Handling;
using Kv.Time;

namespace Kv;

/// <summary>Has a store and its worker fail as a test asks: <see cref="KvTestHost.Faults"/>.</summary>
/// <remarks>
/// It fails in the engine, at named points, so the real code meets the failure: what it takes back, tries again and tells its callers is
/// what it does when a database fails. A kind has one rule at a time: the last that was set. Writes that are part of a transaction of the
/// application's own fail with that, and not here.
/// </remarks>
public sealed class KvTestFaults
{
    private static readonly int Kinds = Enum.GetValues<KvFault>().Length;
    private readonly Lock _gate = new();
    private readonly FaultRule[] _rules = [.. Enumerable.Range(0, Kinds).Select(static _ => new FaultRule())];
    private TestClock? _clock;
    private int _rows;
    private int _unresolved;

    internal KvTestFaults() => Source = new Points(this);

    /// <summary>What the engine asks.</summary>
    internal IFaults Source { get; }

    /// <summary>Has the next attempts fail, and those after them pass.</summary>
    /// <param name="fault">At what.</param>
    /// <param name="times">How many; at least 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number is less than 1, or the kind is none.</exception>
    public void FailNext(KvFault fault, int times = 1) => Set(fault, skip: 0, every: 1, AtLeastOne(times));

    /// <summary>Has the n-th attempt from now on fail, and no other.</summary>
    /// <param name="n">Which one, from 1.</param>
    /// <param name="fault">At what.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number is less than 1, or the kind is none.</exception>
    public void FailNth(int n, KvFault fault) => Set(fault, AtLeastOne(n) - 1, every: 1, times: 1);

    /// <summary>Has each n-th attempt from now on fail.</summary>
    /// <param name="n">Which ones: 7 for the seventh, the fourteenth and so on.</param>
    /// <param name="fault">At what.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number is less than 1, or the kind is none.</exception>
    public void FailEvery(int n, KvFault fault) => Set(fault, skip: 0, AtLeastOne(n), int.MaxValue);

    /// <summary>Has all attempts fail, until <see cref="Clear(KvFault)"/>.</summary>
    /// <param name="fault">At what.</param>
    /// <exception cref="ArgumentOutOfRangeException">The kind is none.</exception>
    public void FailAlways(KvFault fault) => Set(fault, skip: 0, every: 1, int.MaxValue);

    /// <summary>Has the next listings fail when they have given a number of rows. A listing that is shorter is not concerned.</summary>
    /// <param name="rows">After how many; 0 for before the first.</param>
    /// <param name="times">How many listings.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are less than no rows, or less than one listing.</exception>
    public void FailListing(int rows, int times = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        Set(KvFault.Listing, skip: 0, every: 1, AtLeastOne(times), rows);
    }

    /// <summary>Has each attempt take some time of the test's clock, whether it fails or not, until <see cref="Clear(KvFault)"/>.</summary>
    /// <remarks>
    /// The clock moves there and its timers fire; nothing else runs meanwhile, no heartbeat either: an end of a message that takes longer
    /// than a lease has lost it.
    /// </remarks>
    /// <param name="fault">What takes its time: for the kinds of commits, at the point at which they would fail.</param>
    /// <param name="by">How long.</param>
    /// <exception cref="ArgumentOutOfRangeException">The time is negative, or the kind is none.</exception>
    public void Slow(KvFault fault, TimeSpan by)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.Zero);
        lock (_gate)
        {
            RuleOf(fault).Delay = by;
        }
    }

    /// <summary>Ends what was set for a kind. Its numbers stay.</summary>
    /// <param name="fault">The kind.</param>
    /// <exception cref="ArgumentOutOfRangeException">The kind is none.</exception>
    public void Clear(KvFault fault)
    {
        lock (_gate)
        {
            RuleOf(fault).Clear();
        }
    }

    /// <summary>Ends all that was set. The numbers stay.</summary>
    public void Clear()
    {
        lock (_gate)
        {
            Array.ForEach(_rules, static rule => rule.Clear());
        }
    }

    /// <summary>How many attempts there were, whether they failed or not. A commit that is tried again counts again.</summary>
    /// <param name="fault">At what: for the kinds of commits, how often a commit came to that point.</param>
    /// <returns>The number since the host was made.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The kind is none.</exception>
    public int Count(KvFault fault)
    {
        lock (_gate)
        {
            return RuleOf(fault).Count;
        }
    }

    /// <summary>How many attempts failed as asked.</summary>
    /// <param name="fault">At what.</param>
    /// <returns>The number since the host was made.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The kind is none.</exception>
    public int CountFailed(KvFault fault)
    {
        lock (_gate)
        {
            return RuleOf(fault).Failures;
        }
    }

    /// <summary>Whether attempts of a kind are to fail.</summary>
    internal bool IsSet(KvFault fault)
    {
        lock (_gate)
        {
            return RuleOf(fault).IsSet;
        }
    }

    /// <summary>The clock that it slows things down by.</summary>
    internal void Use(TestClock clock) => _clock = clock;

    private static int AtLeastOne(int number)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(number, 1);
        return number;
    }

    private void Set(KvFault fault, int skip, int every, int times, int rows = 0)
    {
        lock (_gate)
        {
            RuleOf(fault).Set(skip, every, times);
            _rows = fault == KvFault.Listing ? rows : _rows;
        }
    }

    private FaultRule RuleOf(KvFault fault) => (int)fault >= 0 && (int)fault < Kinds
        ? _rules[(int)fault]
        : throw new ArgumentOutOfRangeException(nameof(fault), fault, $"{fault} is no KvFault. Use one of the enum's members.");

    private bool Strikes(KvFault fault)
    {
        bool strikes;
        TimeSpan delay;
        lock (_gate)
        {
            var rule = RuleOf(fault);
            (strikes, delay) = (rule.Next(), rule.Delay);
        }

        if (delay > TimeSpan.Zero && _clock is { } clock)
        {
            clock.FireAll(clock.GetUtcNow() + delay);
        }

        return strikes;
    }

    private static KvException Refusal(KvFault fault, string what) => new(
        KvErrorKind.Unavailable, $"{what}, as the test asked (KvFault.{fault}).", Cause(fault));

    private static InjectedFaultException Cause(KvFault fault) => new($"KvFault.{fault}, as the test asked.");

    /// <summary>The engine's points.</summary>
    private sealed class Points(KvTestFaults faults) : IFaults
    {
        public ValueTask HitAsync(string point, CommitKinds work)
        {
            var writes = work.HasFlag(CommitKinds.Writes);
            switch (point)
            {
                case FailPoints.BegunCommit:
                    if (work.HasFlag(CommitKinds.Ends) && faults.Strikes(KvFault.Acknowledge))
                    {
                        throw Refusal(KvFault.Acknowledge, "The end of the message was not written");
                    }

                    FailIf(writes, KvFault.BeforeCommit, "The write was not taken, and nothing was written");
                    break;
                case FailPoints.BeforeCommit:
                    FailIf(writes, KvFault.HalfCommit, "The write was not taken, and nothing was written");
                    CutIf(writes, KvFault.CutCommit);
                    break;
                case FailPoints.AfterCommit:
                    if (writes && faults.Strikes(KvFault.AfterCommit))
                    {
                        Interlocked.Increment(ref faults._unresolved);
                        throw Refusal(KvFault.AfterCommit, "The answer to a commit was lost");
                    }

                    CutIf(writes, KvFault.CutAnswer);
                    FailIf(work.HasFlag(CommitKinds.Claims), KvFault.Claim, "The answer to a claim was lost");
                    break;
                case FailPoints.Resolve when Interlocked.Exchange(ref faults._unresolved, 0) > 0:
                    throw Refusal(KvFault.AfterCommit, "What became of a commit could not be found out");
                case FailPoints.Open:
                    FailIf(true, KvFault.Open, "No connection could be opened, and nothing was read or written");
                    break;
                case FailPoints.Extend:
                    CutIf(true, KvFault.Heartbeat);
                    break;
            }

            return default;
        }

        public int? ListingFailsAfter() => faults._clock?.Owner is null or HeldMessage && faults.Strikes(KvFault.Listing)
            ? faults._rows
            : null;

        public Exception ListingFailed() => Refusal(KvFault.Listing, "The database ceased to answer a listing");

        private void FailIf(bool concerned, KvFault fault, string what)
        {
            if (concerned && faults.Strikes(fault))
            {
                throw Refusal(fault, what);
            }
        }

        private void CutIf(bool concerned, KvFault fault)
        {
            if (concerned && faults.Strikes(fault))
            {
                throw Cause(fault);
            }
        }
    }
}
