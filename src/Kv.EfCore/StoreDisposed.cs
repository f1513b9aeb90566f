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

    public static ObjectDisposedException Error(string? message = null) => new("Kv.IKvStore", message);
}
