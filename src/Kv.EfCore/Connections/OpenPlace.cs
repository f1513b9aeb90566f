namespace Kv.Connections;

/// <summary>Where a connection keeps what it writes, if that can be lost while the connection goes on: a file that somebody deletes.</summary>
internal abstract class OpenPlace
{
    /// <summary>Why what is written on the connection is found by nobody else any more.</summary>
    /// <param name="hasWritten">Whether the connection has written before.</param>
    /// <returns>Null if it is found.</returns>
    public abstract string? FindLoss(bool hasWritten);
}
