namespace Kv.Connections;

/// <summary>A server of a store's database: the one that takes its writes, or one that repeats them.</summary>
/// <param name="Store">
/// What the database and its tables are known by on the server that made them, and on each that repeats it byte by byte.
/// </param>
/// <param name="Server">What no other server has.</param>
/// <param name="Repeats">Whether it repeats what another one does, and takes no writes.</param>
/// <param name="Location">What an error calls it. Never a password.</param>
internal sealed record ServerIdentity(string Store, string Server, bool Repeats, string Location)
{
    /// <summary>Whether it has what another server has that takes the writes: it repeats it, or it is that server.</summary>
    public bool Follows(ServerIdentity primary) =>
        string.Equals(Store, primary.Store, StringComparison.Ordinal)
        && (Repeats || string.Equals(Server, primary.Server, StringComparison.Ordinal));
}
