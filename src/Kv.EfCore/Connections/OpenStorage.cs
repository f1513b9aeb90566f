namespace Kv.Connections;

/// <summary>Where a connection keeps what it writes, if that can be lost while the connection goes on: a file that is deleted.</summary>
internal abstract class OpenStorage
{
    /// <summary>Why what is written on the connection is not found by other connections any more.</summary>
    /// <param name="hasWritten">Whether the connection has written before.</param>
    /// <returns>Null if it is found.</returns>
    public abstract string? FindLoss(bool hasWritten);
}
