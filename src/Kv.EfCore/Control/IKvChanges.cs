namespace Kv;

/// <summary>The switch of a store's change feed, which <see cref="IKvStore.ChangesAsync"/> reads.</summary>
/// <remarks>
/// It is one for all processes of the store, and stays as it is across restarts. While it is on, triggers of the table <c>kv</c> record the
/// keys of every commit, whichever program writes it; while it is off there are none, and it costs nothing. To switch it takes the rights
/// that migrations take: a role that owns the tables.
/// </remarks>
public interface IKvChanges
{
    /// <summary>Switches the feed on. Where it is on, changes only what it keeps.</summary>
    /// <remarks>Writers wait meanwhile, for some milliseconds. It is idempotent, so an application may call it at each start.</remarks>
    /// <param name="options">How long changes are kept; null for the defaults.</param>
    /// <param name="cancellationToken">Gives up; nothing is changed then.</param>
    /// <returns>The state after that; what can be followed begins with its <see cref="KvChangesState.Oldest"/>.</returns>
    /// <exception cref="ArgumentException">An option is out of its bounds.</exception>
    /// <exception cref="KvException">
    /// The role may not make triggers, the schema is not as it must be, or the database is away.
    /// </exception>
    Task<KvChangesState> EnableAsync(KvChangesOptions? options = null, CancellationToken cancellationToken = default);

    /// <summary>Switches the feed off, and deletes what it has recorded. Followers end with an error that says so.</summary>
    /// <param name="cancellationToken">Gives up. What is recorded may stay, and is deleted by the next call.</param>
    /// <exception cref="KvException">The role may not drop triggers, the schema is not as it must be, or the database is away.</exception>
    Task DisableAsync(CancellationToken cancellationToken = default);

    /// <summary>Whether it is on, and what it has.</summary>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="KvException">The schema is not as it must be, or the database is away.</exception>
    Task<KvChangesState> GetStateAsync(CancellationToken cancellationToken = default);
}
