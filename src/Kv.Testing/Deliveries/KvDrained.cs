using Kv.Messages;

namespace Kv;

/// <summary>
/// What ran: the deliveries that ended, in the order in which they did, and then those that wait for the test's clock.
/// </summary>
public sealed class KvDrained
{
    internal KvDrained(IReadOnlyList<KvDelivery> deliveries) => Deliveries = deliveries;

    /// <summary>All of them.</summary>
    public IReadOnlyList<KvDelivery> Deliveries { get; }

    /// <summary>Those of messages of a type, on whatever topic.</summary>
    /// <typeparam name="T">The type that they were enqueued as.</typeparam>
    /// <returns>The deliveries in their order.</returns>
    /// <exception cref="KvException">A message of that name cannot be read as the type.</exception>
    public IReadOnlyList<KvDelivery<T>> Of<T>()
    {
        var name = MessageName.Of<T>().Name;
        return [.. Deliveries.Where(delivery => delivery.Type == name).Select(static delivery => new KvDelivery<T>(delivery))];
    }

    /// <summary>The only delivery of a message of a type.</summary>
    /// <typeparam name="T">The type that it was enqueued as.</typeparam>
    /// <returns>The delivery.</returns>
    /// <exception cref="KvTestException">There is none, or more than one: the message lists what ran.</exception>
    public KvDelivery<T> Single<T>()
    {
        var found = Of<T>();
        return found.Count == 1 ? found[0] : throw new KvTestException(
            $"One delivery of '{MessageName.Of<T>().Name}' was expected, and there were {found.Count}. {this}");
    }

    /// <summary>A line for each delivery.</summary>
    /// <returns>The lines.</returns>
    public override string ToString() =>
        Deliveries.Count == 0 ? "Nothing ran." : $"What ran:\n{string.Join('\n', Deliveries.Select(static delivery => $"  {delivery}"))}";
}
