using Kv.Connections;

namespace Kv.Commits;

/// <summary>What callers are told of a commit that failed, and what the store's health notes of it.</summary>
internal sealed class CommitFailures(Driver driver, KvStoreOptions options, StoreHealth health)
{
    /// <summary>The database did not take a write in time.</summary>
    public KvException NotTaken(Exception error) => new(
        KvErrorKind.Unavailable,
        $"The database did not take the write within {options.CommandTimeout.TotalSeconds:0.#} seconds ({DatabaseErrors.Text(error)}). "
        + $"Nothing was written; {(driver.Classify(error) == Fault.Full ? "make room, then try again" : "try again when it is back")}.",
        error);

    /// <summary>The time of a caller is over after an error that might have passed.</summary>
    /// <param name="error">The last error.</param>
    /// <param name="holder">The session that has the lock, as far as it was seen.</param>
    public KvException OutOfTime(Exception error, string? holder)
    {
        health.WriteFailed(error);
        return driver.IsLockWait(error) ? DatabaseErrors.Locked(driver, options, error, holder) : NotTaken(error);
    }

    /// <summary>What callers are told of an error that is none of the store's.</summary>
    public Exception Tell(Exception error)
    {
        if (driver.IsDamage(error))
        {
            health.Damaged(error);
        }

        if (error is KvException || !DatabaseErrors.IsOfDatabase(error))
        {
            return error;
        }

        if (!driver.IsOfValues(error))
        {
            health.WriteFailed(error);
        }

        return DatabaseErrors.Refused(driver, error, "the write, and nothing was written");
    }
}
