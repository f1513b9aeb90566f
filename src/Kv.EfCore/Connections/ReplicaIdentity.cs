using System.Data.Common;

namespace Kv.Connections;

/// <summary>Makes sure that a replica is one of the store's own database: what another one has looks as good.</summary>
/// <param name="primary">Reads of the store's own database.</param>
/// <param name="driver">The database.</param>
internal sealed class ReplicaIdentity(ReadRunner primary, Driver driver)
{
    private volatile ServerIdentity? _primary;

    /// <summary>Asks the store's own database which it is, so that its replica can be told apart while it is away.</summary>
    public async ValueTask LearnAsync(CancellationToken cancellationToken) => _primary = await primary.RunAsync(
        driver, static (session, of, token) => of.IdentifyServerAsync(session.Connection, token), cancellationToken).ConfigureAwait(false);

    /// <summary>Looks at a connection of the replica that was just opened.</summary>
    /// <exception cref="OtherServerException">It leads to something else.</exception>
    public async ValueTask EnsureAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        var there = await driver.IdentifyServerAsync(connection, cancellationToken).ConfigureAwait(false);
        if (_primary is { } known && there.Follows(known))
        {
            return;
        }

        // Since it was asked, another server may have become the one that takes the writes, or the tables were made anew.
        try
        {
            await LearnAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (KvException error)
        {
            throw new TimeoutException($"Whether {there.Location} is a replica of the store's database could not be found out.", error);
        }

        if (!there.Follows(_primary!))
        {
            throw new OtherServerException(
                $"KvStoreOptions.ReplicaConnectionString leads to {there.Location}, which is no streaming replica of {_primary!.Location}, "
                + "the store's database: it is another server, has other tables, or was promoted and goes its own way. Correct it, or "
                + "leave it out.");
        }
    }
}
