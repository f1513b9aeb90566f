using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.CompilerServices;
using Kv.Values;

namespace Kv.Messages;

/// <summary>What a type of messages is called in the queue.</summary>
/// <param name="Type">The type.</param>
/// <param name="Name">The name of its <see cref="KvMessageAttribute"/>, else its full name without any assembly's.</param>
/// <param name="Topic">The topic of its attribute, else its name.</param>
internal sealed record MessageName(Type Type, string Name, string Topic)
{
    private static readonly ConcurrentDictionary<Type, MessageName> All = new();

    /// <summary>Whether the name stays when the type is renamed or moved.</summary>
    public bool IsGiven { get; private init; }

    /// <summary>What a type is called.</summary>
    /// <exception cref="ArgumentException">The type is one that no handler could be registered for.</exception>
    public static MessageName Of<T>() => Known<T>.Name ??= Of(typeof(T));

    /// <summary>What a type is called.</summary>
    /// <exception cref="ArgumentException">The type is one that no handler could be registered for.</exception>
    public static MessageName Of(Type type) => All.GetOrAdd(type, Read);

    /// <summary>
    /// What a message is called: as what it is, whatever it was passed as. A type with an attribute of its own that says in its JSON which of
    /// its derived types a message has names those of them that have no attribute.
    /// </summary>
    /// <exception cref="ArgumentException">No handler could be registered for the message's type.</exception>
    public static MessageName Of<T>(T message, IKvValueSerializer serializer)
    {
        var type = message!.GetType();
        return type == typeof(T) || (!typeof(T).IsValueType && IsOneOf<T>(type, serializer)) ? Of<T>() : Of(type);
    }

    private static bool IsOneOf<T>(Type type, IKvValueSerializer serializer) =>
        Attribute(typeof(T)) is not null && Attribute(type) is null && serializer is KvJsonSerializer json && json.Keeps(typeof(T), type);

    /// <summary>What the messages are called that a handler of a type gets.</summary>
    /// <exception cref="ArgumentException">No message goes by the type.</exception>
    public static MessageName Handled<T>() => (typeof(T).IsInterface || typeof(T).IsAbstract) && Attribute(typeof(T)) is null
        ? throw new ArgumentException(
            $"No message is a {TypeText.Of(typeof(T))}: messages go by the type that they have, and this is "
            + $"{(typeof(T).IsInterface ? "an interface" : "an abstract class")}. Register a handler for each type that implements it; "
            + "or give it [KvMessage(\"name\")] and a [JsonDerivedType] for each, and enqueue as it.",
            nameof(T))
        : Of<T>();

    private static MessageName Read(Type type)
    {
        var attribute = Attribute(type);
        var isNobodys = attribute is null && (type.Name.StartsWith('<') || type.IsDefined(typeof(CompilerGeneratedAttribute), inherit: false));
        if (type == typeof(object) || Nullable.GetUnderlyingType(type) is not null || type.ContainsGenericParameters || isNobodys)
        {
            throw new ArgumentException(
                $"A message must have a type of its own, with a name that a handler can be registered by, and {TypeText.Of(type)} is none. "
                + "Make it a class or record: Enqueue(new OrderPlaced(...)).",
                nameof(type));
        }

        var name = Called(type);
        try
        {
            KvMessageAttribute.Valid(name, nameof(type));
        }
        catch (ArgumentException error)
        {
            throw new ArgumentException(
                $"The message type {TypeText.Of(type)} has no name that can be stored: {error.Message} Give it one: [KvMessage(\"order-placed\")].",
                nameof(type),
                error);
        }

        return new(type, name, attribute?.Topic ?? name) { IsGiven = attribute is not null };
    }

    // One attribute names all closed forms of a generic type, which are different messages.
    private static string Called(Type type) => Attribute(type) is not { } attribute ? TypeText.Of(type, Called)
        : type.IsConstructedGenericType ? $"{attribute.Name}<{string.Join(',', type.GetGenericArguments().Select(Called))}>"
        : attribute.Name;

    private static KvMessageAttribute? Attribute(Type type) => type.GetCustomAttribute<KvMessageAttribute>(inherit: false);

    // Reading an attribute takes longer than all else that an enqueue does before its commit.
    private static class Known<T>
    {
        public static MessageName? Name { get; set; }
    }
}
