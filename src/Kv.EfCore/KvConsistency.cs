namespace Kv;

/// <summary>How fresh a read is.</summary>
public enum KvConsistency
{
    /// <summary>It sees every commit that was answered before it began.</summary>
    Strong,

    /// <summary>
    /// It may miss the last commits, and a later read may see less than an earlier one: it is served by the replica, if there is one
    /// (<see cref="KvStoreOptions.ReplicaConnectionString"/>) that answers, and otherwise by the store's own database.
    /// </summary>
    Eventual,
}
