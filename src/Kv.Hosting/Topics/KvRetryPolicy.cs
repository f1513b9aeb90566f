namespace Kv;

/// <summary>How often and when a message whose handler failed is tried again. Immutable: each method gives a new policy.</summary>
public sealed class KvRetryPolicy
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromDays(30);
    private readonly Func<int, double, TimeSpan> _wait;
    private readonly double _jitter;
    private readonly IReadOnlyList<(Type Exception, KvRetryPolicy Policy)> _rules;

    private KvRetryPolicy(
        int retries, Func<int, double, TimeSpan> wait, double jitter, IReadOnlyList<(Type Exception, KvRetryPolicy Policy)> rules) =>
        (Retries, _wait, _jitter, _rules) = (retries, wait, jitter, rules);

    /// <summary>No further attempt: the message is a dead letter at once.</summary>
    public static KvRetryPolicy Never { get; } = new(0, static (_, _) => TimeSpan.Zero, 0, []);

    /// <summary>Attempts after the first one.</summary>
    public int Retries { get; }

    /// <summary>Waits that grow by a factor.</summary>
    /// <param name="retries">Attempts after the first one, from 0 to 1,000.</param>
    /// <param name="first">The first wait.</param>
    /// <param name="longest">No wait is longer; null for 1 hour. At most 30 days.</param>
    /// <param name="factor">What each wait is multiplied by to give the next one; from 1 to 100.</param>
    /// <param name="jitter">
    /// By how much of itself a wait may be shorter or longer, at random, so that what failed together does not come back together; from 0
    /// to 1.
    /// </param>
    /// <exception cref="ArgumentException">A number is out of its range.</exception>
    public static KvRetryPolicy Exponential(int retries, TimeSpan first, TimeSpan? longest = null, double factor = 2, double jitter = 0.2)
    {
        var most = longest ?? TimeSpan.FromHours(1);
        Require(retries is >= 0 and <= 1000, nameof(retries), $"There are to be {retries} retries; 0 to 1,000 are allowed.");
        Require(
            first >= TimeSpan.Zero && first <= most, nameof(first), $"The first wait is {first}; it must be zero to the longest, {most}.");
        Require(most <= LongestWait, nameof(longest), $"The longest wait is {most}; it must be at most 30 days.");
        Require(factor is >= 1 and <= 100, nameof(factor), $"The factor is {factor}; it must be 1 to 100.");
        Require(jitter is >= 0 and <= 1, nameof(jitter), $"The jitter is {jitter}; it must be 0 to 1.");
        return new(retries, Wait, jitter, []);

        TimeSpan Wait(int failures, double jittered)
        {
            // Zero times an infinite growth would be no number.
            var wait = first == TimeSpan.Zero
                ? 0
                : Math.Min(most.TotalMilliseconds, first.TotalMilliseconds * Math.Pow(factor, failures - 1)) * jittered;

            // What is over the longest wait is mirrored at it, not cut: cut waits would all be the same.
            return TimeSpan.FromMilliseconds(wait > most.TotalMilliseconds ? (2 * most.TotalMilliseconds) - wait : wait);
        }
    }

    /// <summary>Waits as they are listed; there are as many retries as waits.</summary>
    /// <param name="waits">Up to 1,000 waits, none longer than 30 days.</param>
    /// <exception cref="ArgumentException">There are too many waits, or one is negative or too long.</exception>
    public static KvRetryPolicy Delays(params IReadOnlyList<TimeSpan> waits)
    {
        ArgumentNullException.ThrowIfNull(waits);
        Require(waits.Count <= 1000, nameof(waits), $"There are {waits.Count} waits; at most 1,000 are allowed.");
        for (var i = 0; i < waits.Count; i++)
        {
            Require(
                waits[i] >= TimeSpan.Zero && waits[i] <= LongestWait,
                nameof(waits),
                $"The wait at index {i} is {waits[i]}; it must be zero to 30 days.");
        }

        TimeSpan[] copy = [.. waits];
        return new(copy.Length, (failures, _) => copy[failures - 1], 0, []);
    }

    /// <summary>
    /// Another policy where an exception of a type, or of one derived from it, was thrown. The first rule that fits counts.
    /// </summary>
    /// <typeparam name="TException">The type of the exception.</typeparam>
    /// <param name="policy">The policy, such as <see cref="Never"/>. It counts all failed attempts of the message.</param>
    public KvRetryPolicy On<TException>(KvRetryPolicy policy)
        where TException : Exception
    {
        ArgumentNullException.ThrowIfNull(policy);
        return new(Retries, _wait, _jitter, [.. _rules, (typeof(TException), policy)]);
    }

    /// <summary>How long to wait after a failure.</summary>
    /// <param name="error">Why the attempt failed.</param>
    /// <param name="failures">How many attempts have failed, this one included.</param>
    /// <param name="random">A number from 0 up to 1, for the jitter.</param>
    /// <returns>The wait; null if it was the last attempt.</returns>
    internal TimeSpan? Next(Exception error, int failures, double random)
    {
        foreach (var (exception, policy) in _rules)
        {
            if (exception.IsInstanceOfType(error))
            {
                return policy.Next(error, failures, random);
            }
        }

        // Other programs may have written any count of attempts.
        return failures <= Retries ? _wait(Math.Max(failures, 1), 1 + (_jitter * ((2 * random) - 1))) : null;
    }

    private static void Require(bool right, string parameter, string message)
    {
        if (!right)
        {
            throw new ArgumentException(message, parameter);
        }
    }
}
