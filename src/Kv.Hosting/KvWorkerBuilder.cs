using Kv.Worker;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Kv;

/// <summary>Registers handlers with the worker.</summary>
public sealed class KvWorkerBuilder
{
    private readonly HandlerRegistry _handlers;

    internal KvWorkerBuilder(IServiceCollection services, HandlerRegistry handlers) => (Services, _handlers) = (services, handlers);

    /// <summary>The services that the worker is added to.</summary>
    public IServiceCollection Services { get; }

    /// <summary>Handles messages of a type with a class, made in the scope of each message.</summary>
    /// <typeparam name="TMessage">The type of the messages.</typeparam>
    /// <typeparam name="THandler">The handler; added to the services as scoped unless it is there already.</typeparam>
    /// <returns>This builder.</returns>
    /// <exception cref="InvalidOperationException">The message has a handler already.</exception>
    public KvWorkerBuilder Handle<TMessage, THandler>()
        where THandler : class, IKvMessageHandler<TMessage>
    {
        Services.TryAddScoped<THandler>();
        return Handle<TMessage>(static (message, context, token) =>
            context.Services.GetRequiredService<THandler>().HandleAsync(message, context, token));
    }

    /// <summary>Handles messages of a type with a delegate.</summary>
    /// <typeparam name="TMessage">The type of the messages.</typeparam>
    /// <param name="handle">The handler; see <see cref="IKvMessageHandler{TMessage}.HandleAsync"/>.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="InvalidOperationException">The message has a handler already.</exception>
    public KvWorkerBuilder Handle<TMessage>(Func<TMessage, KvMessageContext, CancellationToken, Task> handle)
    {
        ArgumentNullException.ThrowIfNull(handle);
        var (name, topic) = MessageName.Of(typeof(TMessage));
        _handlers.Add(topic, name, (serializer, context, token) => handle(Read(serializer, context), context, token));
        return this;

        static TMessage Read(IKvValueSerializer serializer, KvMessageContext context) => serializer.Deserialize<TMessage>(context.Payload)
            ?? throw new KvException(KvError.Encoding, $"The payload of message {context.Id} is null, where a '{context.Type}' is expected. Look at who enqueued it.");
    }

    /// <summary>Handles whatever comes by a topic and has no handler of its own: <see cref="KvMessageContext.Payload"/> has the bytes.</summary>
    /// <param name="topic">The topic; empty for messages that programs without topics put in.</param>
    /// <param name="handle">The handler.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="InvalidOperationException">The topic has such a handler already.</exception>
    public KvWorkerBuilder HandleTopic(string topic, Func<KvMessageContext, CancellationToken, Task> handle)
    {
        ArgumentNullException.ThrowIfNull(topic);
        ArgumentNullException.ThrowIfNull(handle);
        _handlers.Add(topic, null, (_, context, token) => handle(context, token));
        return this;
    }
}
