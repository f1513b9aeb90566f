namespace Kv;

/// <summary>
/// A message cannot be handed to a handler: its topic has no handler for messages of its name in this process, or its payload cannot be
/// read as the type of its handler. Either is a failed attempt like others, since a process of another version may well have the handler or
/// the type: it is tried again as <see cref="KvTopicOptions.UnreadableRetry"/> says. The kind is <see cref="KvErrorKind.Encoding"/>.
/// </summary>
public sealed class KvUnreadableMessageException : KvException
{
    internal KvUnreadableMessageException(string message, Exception? inner = null)
        : base(KvErrorKind.Encoding, message, inner)
    {
    }
}
