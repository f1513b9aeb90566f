namespace Kv;

/// <summary>Gives a message type the name under which it is stored in the queue, so that the class can be renamed and moved.</summary>
/// <remarks>Messages that were enqueued under one name are delivered to the type that has this name when they are due.</remarks>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Struct | AttributeTargets.Interface, Inherited = false)]
public sealed class KvMessageAttribute : Attribute
{
    internal const int MaxLength = 200;

    /// <summary>Names the message type.</summary>
    /// <param name="name">1 to 200 characters without control characters, such as <c>order-placed</c>.</param>
    /// <exception cref="ArgumentException">The name is empty, too long, or has control characters.</exception>
    public KvMessageAttribute(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        Name = Valid(name, nameof(name));
    }

    /// <summary>The stored name of the message type.</summary>
    public string Name { get; }

    /// <summary>The topic that messages of this type go to unless the call that enqueues them says otherwise.</summary>
    /// <value>Default: null, for the name. Otherwise 1 to 200 characters without control characters.</value>
    /// <exception cref="ArgumentException">The topic is empty, too long, or has control characters.</exception>
    public string? Topic
    {
        get;
        init => field = value is null ? null : Valid(value, nameof(value));
    }

    /// <summary>A name, a topic or a key of a message, if it is one that can be stored and be part of a key.</summary>
    /// <param name="text">The text.</param>
    /// <param name="parameter">Where it came from.</param>
    /// <param name="what">What the error calls it.</param>
    internal static string Valid(string text, string parameter, string what = "name")
    {
        if (text.Length is 0 or > MaxLength)
        {
            throw new ArgumentException($"The {what} has {text.Length} characters; 1 to {MaxLength} are allowed. Choose a short stable name.", parameter);
        }

        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsControl(text[i]))
            {
                throw new ArgumentException($"The {what} has the control character U+{(int)text[i]:X4} at position {i}. Use printable characters.", parameter);
            }

            // Half a pair cannot be stored as UTF-8: it would be refused by one database and become another name in the other.
            if (char.IsSurrogatePair(text, i))
            {
                i++;
            }
            else if (char.IsSurrogate(text[i]))
            {
                throw new ArgumentException($"The {what} has U+{(int)text[i]:X4} at position {i}, which is half of a surrogate pair. Use whole characters.", parameter);
            }
        }

        return text;
    }
}
