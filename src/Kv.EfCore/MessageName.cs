using System.Reflection;

namespace Kv;

/// <summary>What the type of a message is called in the queue.</summary>
internal static class MessageName
{
    /// <summary>The name and the topic of a type: those of its <see cref="KvMessageAttribute"/>, else its full name.</summary>
    /// <exception cref="ArgumentException">The type is one that no handler could be registered for.</exception>
    public static (string Name, string Topic) Of(Type type)
    {
        if (type == typeof(object))
        {
            throw new ArgumentException(
                "A message must have a type of its own, and this one is passed as object. Pass it as the type that its handler takes: Enqueue<OrderPlaced>(...).", nameof(type));
        }

        var attribute = type.GetCustomAttribute<KvMessageAttribute>(inherit: false);
        var name = attribute?.Name ?? type.FullName ?? type.Name;
        return (name, attribute?.Topic ?? name);
    }
}
