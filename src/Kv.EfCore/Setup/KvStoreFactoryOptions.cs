namespace Kv;

/// <summary>How many stores an <see cref="IKvStoreFactory"/> keeps open, and for how long.</summary>
public sealed class KvStoreFactoryOptions
{
    /// <summary>
    /// Stores that are open at the same time. Beyond it the store closes whose last lease ended first; while all are rented, a
    /// caller of another store waits.
    /// </summary>
    /// <value>Default: 100. From 1 to 100,000. On PostgreSQL each takes up to 12 connections.</value>
    public int MaxOpen { get; set; } = 100;

    /// <summary>How long a store stays open without a lease.</summary>
    /// <value>Default: 5 minutes. From 1 second to 1 day.</value>
    public TimeSpan IdleTimeout { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How long a caller waits for a store while as many as may be open are rented.</summary>
    /// <value>Default: 30 seconds. From 0 to 1 day.</value>
    public TimeSpan RentTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Whether a store is migrated when it is opened, which also makes the file or the schema of a new name.</summary>
    /// <value>Default: true.</value>
    public bool Migrate { get; set; } = true;
}
