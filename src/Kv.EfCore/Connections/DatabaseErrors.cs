using System.Data.Common;
using System.Net.Sockets;
using Microsoft.EntityFrameworkCore.Storage;

namespace Kv.Connections;

/// <summary>Turns what databases and drivers throw into what callers of a store can act on.</summary>
internal static class DatabaseErrors
{
    /// <summary>Whether an error is the database's or the driver's, and neither a defect nor the caller's.</summary>
    public static bool IsOfDatabase(Exception error) =>
        error is DbException or IOException or UnauthorizedAccessException or TimeoutException or SocketException || (Wrapped(error) is { } inner && IsOfDatabase(inner));

    /// <summary>An error and what caused it.</summary>
    public static IEnumerable<Exception> Chain(Exception error)
    {
        for (var next = error; next is not null; next = next.InnerException)
        {
            yield return next;
        }
    }

    /// <summary>What EF Core's execution strategies put around an error of a connection that is opened; null for an error that is no wrapper.</summary>
    public static Exception? Wrapped(Exception error) => error is InvalidOperationException or RetryLimitExceededException ? error.InnerException : null;

    /// <summary>What happened, in the words of what met it.</summary>
    /// <remarks>Outer errors of drivers often say no more than that something failed, and EF Core's that it is likely to be transient.</remarks>
    public static string Text(Exception error)
    {
        while (Wrapped(error) is { } inner && IsOfDatabase(inner))
        {
            error = inner;
        }

        var innermost = error;
        while (innermost is DbException or IOException && innermost.InnerException is { } inner)
        {
            innermost = inner;
        }

        return innermost == error || error.Message.Contains(innermost.Message, StringComparison.Ordinal) ? error.Message : $"{error.Message}: {innermost.Message}";
    }

    /// <summary>The error for a caller whose listing failed in the middle.</summary>
    public static KvException At(KvException error, string cursor) => new(
        error.Kind, $"{error.Message} What was listed until then is complete; the listing can go on from the cursor '{cursor}'.", error.InnerException)
    {
        Cursor = cursor,
    };

    /// <summary>The error for a caller that waited for a lock in vain.</summary>
    /// <param name="driver">The database.</param>
    /// <param name="options">How long callers wait.</param>
    /// <param name="error">What the database said.</param>
    /// <param name="holder">The session that has the lock; null if that is not known.</param>
    public static KvException Locked(Driver driver, KvStoreOptions options, Exception error, string? holder)
    {
        var holding = holder is null ? "others have" : $"is held by {holder.TrimEnd('.')}";
        return new KvException(
            KvErrorKind.Unavailable,
            $"The write waited for {options.CommandTimeout.TotalSeconds:0.#} seconds for a lock of the database that {holding} ({error.Message.TrimEnd('.')}). "
            + $"Nothing was written. {(holder is null ? driver.LockAdvice : "End that transaction")}, or raise KvStoreOptions.CommandTimeout.",
            error);
    }

    /// <summary>The error for a caller whose write waits for a transaction of its own process, and perhaps its own.</summary>
    public static KvException WaitsForOwn(OwnTransaction own, Exception error) => new(
        KvErrorKind.Unavailable,
        $"The write waited for a transaction that this process has open: the context {own.Context} began it "
        + $"{own.Age.TotalSeconds.ToString("0.0", System.Globalization.CultureInfo.InvariantCulture)} seconds ago. Nothing was written. Did you "
        + "mean db.Kv(), whose changes are committed with those of the context, or CommitAsync(context)? Otherwise end that transaction first.",
        error);

    /// <summary>The error for a caller whose request the database refuses, and would again.</summary>
    /// <param name="driver">The database.</param>
    /// <param name="error">What it said.</param>
    /// <param name="what">What it refused.</param>
    public static KvException Refused(Driver driver, Exception error, string what)
    {
        var kind = driver.KindOf(error);
        var remedy = kind switch
        {
            KvErrorKind.Schema => "The store's tables are not as this version wants them: "
                + $"run `dotnet ef database update --context {nameof(KvDbContext)}`, or call `await services.MigrateKvStoreAsync()` when the application starts.",
            KvErrorKind.Unavailable => "Make the database writable for this process, then try again.",
            _ => driver.RemedyOf(error) ?? "It would again: the inner exception has the database's own words for what it wants.",
        };
        return new KvException(kind, $"The database refused {what}: {Text(error).TrimEnd('.')}. {remedy}", error);
    }
}
