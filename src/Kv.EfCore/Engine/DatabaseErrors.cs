using System.Data.Common;
using System.Net.Sockets;
using Microsoft.EntityFrameworkCore.Storage;

namespace Kv.Engine;

/// <summary>Turns what databases and drivers throw into what callers of a store can act on.</summary>
internal static class DatabaseErrors
{
    /// <summary>Whether an error is the database's or the driver's, and neither a defect nor the caller's.</summary>
    public static bool IsOfDatabase(Exception error) =>
        error is DbException or IOException or UnauthorizedAccessException or TimeoutException or SocketException || (Wrapped(error) is { } inner && IsOfDatabase(inner));

    /// <summary>What EF Core's execution strategies put around an error of a connection that is opened; null for an error that is no wrapper.</summary>
    public static Exception? Wrapped(Exception error) => error is InvalidOperationException or RetryLimitExceededException ? error.InnerException : null;

    /// <summary>What happened, in the words of whoever was there.</summary>
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
}
