using Microsoft.Extensions.Logging;

namespace Kv;

/// <summary>The error of calls of a store that was disposed of.</summary>
internal static class StoreDisposed
{
    /// <exception cref="ObjectDisposedException">It was.</exception>
    public static void ThrowIf(bool disposed)
    {
        if (disposed)
        {
            throw Error();
        }
    }

    /// <summary>How loud an error is that a loop of the store met and goes on after.</summary>
    /// <remarks>
    /// A container that ends takes away what makes connections before it disposes of the store. That is to alarm nobody: the loop ends in a
    /// moment.
    /// </remarks>
    /// <param name="error">The error.</param>
    /// <param name="level">How loud it is otherwise.</param>
    public static LogLevel LevelOf(Exception error, LogLevel level) => error is ObjectDisposedException ? LogLevel.Debug : level;

    public static ObjectDisposedException Error(string? message = null) => new("Kv.IKvStore", message);
}
