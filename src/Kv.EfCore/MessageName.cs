using System.Reflection;

namespace Kv;

/// <summary>What a type of messages is called in the queue.</summary>
/// <param name="Name">The name of its <see cref="KvMessageAttribute"/>, else its full name.</param>
/// <param name="Topic">The topic of its attribute, else its name.</param>
internal sealed record MessageName(string Name, string Topic)
{
    /// <summary>What a type is called.</summary>
    /// <exception cref="ArgumentException">The type is one that no handler could be registered for.</exception>
    public static MessageName Of<T>() => Known<T>.Name ??= Read(typeof(T));

    private static MessageName Read(Type type)
    {
        if (type == typeof(object))
        {
            throw new ArgumentException(
                "A message must have a type of its own, and this one is passed as object. Pass it as the type that its handler takes: Enqueue<OrderPlaced>(...).", nameof(type));
        }

        var attribute = type.GetCustomAttribute<KvMessageAttribute>(inherit: false);
        var name = attribute?.Name ?? type.FullName ?? type.Name;
        return new(name, attribute?.Topic ?? name);
    }

    // Reading an attribute takes longer than all else that an enqueue does before its commit.
    private static class Known<T>
    {
        public static MessageName? Name { get; set; }
    }
}
