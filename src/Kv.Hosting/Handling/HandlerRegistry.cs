using System.Collections.Concurrent;
using Kv.Messages;
using Kv.Topics;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Handling;

/// <summary>Which handler runs for which message, what runs around it, and how its topic is treated.</summary>
internal sealed class HandlerRegistry
{
    private readonly Dictionary<(string Topic, string? Type), KvMessageDelegate> _handlers = [];
    private readonly SortedSet<string> _unnamed = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Type> _types = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<KvMessageDelegate, KvMessageDelegate> _ways = [];
    private readonly Dictionary<string, KvTopicOptions> _topics = new(StringComparer.Ordinal);
    private readonly Dictionary<string, List<Action<KvTopicOptions>>> _changes = new(StringComparer.Ordinal);
    private readonly List<Func<KvMessageContext, KvMessageDelegate, CancellationToken, Task>> _middleware = [];

    public HandlerRegistry(IServiceCollection services)
    {
        Needs = new HandlerNeeds(services);
        Use<TracingMiddleware>();
        Use<LoggingMiddleware>();
    }

    /// <summary>The services that handlers and middleware cannot do without.</summary>
    public HandlerNeeds Needs { get; }

    /// <summary>What the worker claims.</summary>
    public IReadOnlyList<TopicSettings> Topics(KvWorkerOptions worker) =>
        [.. Handled.Select(topic => new TopicSettings(topic, Options(topic), worker))];

    /// <summary>The topics that have a handler.</summary>
    public IEnumerable<string> Handled => _handlers.Keys.Select(static key => key.Topic).Distinct(StringComparer.Ordinal);

    /// <summary>The topics that have options and no handler.</summary>
    public IEnumerable<string> Idle => _topics.Keys.Except(Handled, StringComparer.Ordinal);

    /// <summary>Changes the options of a topic.</summary>
    /// <exception cref="ArgumentException">An option cannot work.</exception>
    public void Change(string topic, Action<KvTopicOptions> change)
    {
        var options = Options(topic);
        change(options);
        options.Validate(topic);
        if (!_changes.TryGetValue(topic, out var changes))
        {
            _changes.Add(topic, changes = []);
        }

        changes.Add(change);
    }

    /// <summary>Puts the options that the configuration has for topics below what was changed by code.</summary>
    /// <param name="bind">Gives a topic's options what the configuration says.</param>
    /// <param name="topics">The topics that it has.</param>
    public void Configure(IEnumerable<string> topics, Action<string, KvTopicOptions> bind)
    {
        foreach (var topic in topics)
        {
            var options = new KvTopicOptions();
            bind(topic, options);
            _changes.GetValueOrDefault(topic)?.ForEach(change => change(options));
            options.Validate(topic);
            _topics[topic] = options;
        }
    }

    private KvTopicOptions Options(string topic)
    {
        if (!_topics.TryGetValue(topic, out var options))
        {
            _topics.Add(topic, options = new KvTopicOptions());
        }

        return options;
    }

    /// <summary>Types of messages that have the names of their classes.</summary>
    public IEnumerable<string> Unnamed => _unnamed;

    /// <param name="topic">The topic.</param>
    /// <param name="message">What the message is called.</param>
    /// <param name="handle">The handler.</param>
    public void Add(string topic, MessageName message, KvMessageDelegate handle)
    {
        if (_types.TryGetValue(message.Name, out var other) && other != message.Type)
        {
            throw new InvalidOperationException(
                $"Messages named '{message.Name}' are handled as {other.AssemblyQualifiedName} already, and cannot be "
                + $"{message.Type.AssemblyQualifiedName} too: one would be read as the other. "
                + "Give one of the types another name: [KvMessage(\"...\")].");
        }

        Add(topic, message.Name, handle);
        _types[message.Name] = message.Type;
        if (!message.IsGiven)
        {
            _unnamed.Add(message.Name);
        }
    }

    /// <summary>Adds the handler of whatever comes by a topic and has no handler of its own.</summary>
    /// <param name="topic">The topic.</param>
    /// <param name="handle">The handler.</param>
    public void Add(string topic, KvMessageDelegate handle) => Add(topic, type: null, handle);

    private void Add(string topic, string? type, KvMessageDelegate handle)
    {
        if (!_handlers.TryAdd((topic, type), handle))
        {
            throw new InvalidOperationException(
                $"There is a handler for {(type is null ? "" : $"'{type}' on ")}the topic '{topic}' already, and a message has one. "
                + "Call it from the other, or give the message another name.");
        }
    }

    public void Use(Func<KvMessageContext, KvMessageDelegate, CancellationToken, Task> middleware) => _middleware.Add(middleware);

    /// <summary>Runs a delegate around everything else. Called before the first message comes.</summary>
    public void UseFirst(Func<KvMessageContext, KvMessageDelegate, CancellationToken, Task> middleware) =>
        _middleware.Insert(0, middleware);

    public void Use<TMiddleware>()
        where TMiddleware : class, IKvMessageMiddleware =>
        Use(static (context, next, token) => context.Services.GetRequiredService<TMiddleware>().InvokeAsync(context, next, token));

    /// <summary>The handler of a message with all that runs around it, the first that was registered outermost.</summary>
    public KvMessageDelegate? Find(string topic, string type) =>
        (_handlers.GetValueOrDefault((topic, type)) ?? _handlers.GetValueOrDefault((topic, null))) is { } handle
            ? _ways.GetOrAdd(handle, Around)
            : null;

    private KvMessageDelegate Around(KvMessageDelegate handle)
    {
        KvMessageDelegate way = (context, token) => handle(context, token) ?? throw NoTask("handler", context);
        for (var i = _middleware.Count - 1; i >= 0; i--)
        {
            var (middleware, next) = (_middleware[i], way);
            way = (context, token) => middleware(context, next, token) ?? throw NoTask("middleware", context);
        }

        return way;
    }

    private static InvalidOperationException NoTask(string what, KvMessageContext context) => new(
        $"A {what} of messages named '{context.Type}' on the topic '{context.Topic}' returned null instead of a Task. "
        + "Make it async, or return Task.CompletedTask.");
}
