namespace Kv;

/// <summary>Makes stores at run time, one for each name, such as that of a tenant.</summary>
/// <remarks>
/// A singleton, safe for concurrent use. All callers of a name get one store. A store that has had no lease for
/// <see cref="KvStoreFactoryOptions.IdleTimeout"/> closes its connections and is made anew when it is rented again; what it stored is
/// where it was. No worker handles the messages of these stores: give each worker's store a name of its own with <c>AddKvStore</c>, or
/// one store to all tenants.
/// </remarks>
public interface IKvStoreFactory
{
    /// <summary>Rents a store, and opens it if it is not open. Dispose of the lease when you are done: at the end of a request.</summary>
    /// <param name="name">
    /// The name: 1 to 100 letters, digits, hyphens, underscores and dots of ASCII, and no dot at its beginning, so that it can be part of
    /// a file's name.
    /// </param>
    /// <param name="cancellationToken">Gives up while the store is opened, or while the caller waits for one that can be closed.</param>
    /// <returns>The lease, for as long as which the store stays open.</returns>
    /// <exception cref="ArgumentException">The name is none.</exception>
    /// <exception cref="KvException">
    /// The store cannot be opened or migrated, or <see cref="KvStoreFactoryOptions.MaxOpen"/> stores were rented for
    /// <see cref="KvStoreFactoryOptions.RentTimeout"/> (<see cref="KvErrorKind.Unavailable"/>).
    /// </exception>
    ValueTask<KvStoreLease> RentAsync(string name, CancellationToken cancellationToken = default);
}
