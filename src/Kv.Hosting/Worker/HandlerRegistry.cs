namespace Kv.Worker;

/// <summary>Runs a handler over a message of the queue.</summary>
internal delegate Task HandleMessage(IKvValueSerializer serializer, KvMessageContext context, CancellationToken cancellationToken);

/// <summary>Which handler runs for which message.</summary>
internal sealed class HandlerRegistry
{
    private readonly Dictionary<(string Topic, string? Type), HandleMessage> _handlers = [];

    /// <summary>What the worker claims.</summary>
    public IReadOnlyList<string> Topics => [.. _handlers.Keys.Select(static key => key.Topic).Distinct(StringComparer.Ordinal)];

    /// <param name="topic">The topic.</param>
    /// <param name="type">The name of the message's type; null for whatever comes by the topic and has no handler of its own.</param>
    /// <param name="handle">The handler.</param>
    public void Add(string topic, string? type, HandleMessage handle)
    {
        if (!_handlers.TryAdd((topic, type), handle))
        {
            throw new InvalidOperationException(
                $"There is a handler for {(type is null ? $"the topic '{topic}'" : $"'{type}' on the topic '{topic}'")} already, and a message has one. Call it from the other, or give the message another name.");
        }
    }

    public HandleMessage? Find(string topic, string type) => _handlers.GetValueOrDefault((topic, type)) ?? _handlers.GetValueOrDefault((topic, null));
}
