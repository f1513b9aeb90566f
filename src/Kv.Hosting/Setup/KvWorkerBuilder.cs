using System.Diagnostics.CodeAnalysis;
using Kv.Handling;
using Kv.Keys;
using Kv.Messages;
using Kv.Schedules;
using Kv.Values;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Kv;

/// <summary>Registers handlers with the worker.</summary>
public sealed class KvWorkerBuilder
{
    private readonly HandlerRegistry _handlers;
    private readonly ScheduleRegistry _schedules;

    internal KvWorkerBuilder(IServiceCollection services, HandlerRegistry handlers, ScheduleRegistry schedules) =>
        (Services, _handlers, _schedules) = (services, handlers, schedules);

    /// <summary>The services that the worker is added to.</summary>
    public IServiceCollection Services { get; }

    /// <summary>Handles messages of a type with a class, made in the scope of each message.</summary>
    /// <typeparam name="TMessage">The type of the messages.</typeparam>
    /// <typeparam name="THandler">The handler; added to the services as scoped unless it is there already.</typeparam>
    /// <param name="topic">
    /// The topic that they come by, where <see cref="KvEnqueueOptions.Topic"/> chose another; null for that of the type.
    /// </param>
    /// <returns>This builder.</returns>
    /// <exception cref="InvalidOperationException">The message has a handler already.</exception>
    public KvWorkerBuilder Handle<TMessage, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] THandler>(
        string? topic = null)
        where THandler : class, IKvMessageHandler<TMessage>
    {
        Handle<TMessage>(
            static (message, context, token) => context.Services.GetRequiredService<THandler>().HandleAsync(message, context, token),
            topic);
        Services.TryAddScoped<THandler>();
        _handlers.Needs.Add($"The handler {TypeText.Of(typeof(THandler))} of '{MessageName.Of<TMessage>().Name}'", typeof(THandler));
        return this;
    }

    /// <summary>Handles messages of a type with a delegate.</summary>
    /// <typeparam name="TMessage">The type of the messages.</typeparam>
    /// <param name="handle">The handler; see <see cref="IKvMessageHandler{TMessage}.HandleAsync"/>.</param>
    /// <param name="topic">
    /// The topic that they come by, where <see cref="KvEnqueueOptions.Topic"/> chose another; null for that of the type.
    /// </param>
    /// <returns>This builder.</returns>
    /// <exception cref="InvalidOperationException">The message has a handler already.</exception>
    public KvWorkerBuilder Handle<TMessage>(Func<TMessage, KvMessageContext, CancellationToken, Task> handle, string? topic = null)
    {
        ArgumentNullException.ThrowIfNull(handle);
        var name = MessageName.Handled<TMessage>();
        _handlers.Add(Valid(topic ?? name.Topic), name, (context, token) => handle(context.Read<TMessage>(), context, token));
        return this;
    }

    /// <summary>
    /// Handles messages of a type with a delegate that takes what it needs: the message, the <see cref="KvMessageContext"/>, a
    /// <see cref="CancellationToken"/>, and services of the message's scope, in any order.
    /// </summary>
    /// <remarks>
    /// <c>worker.Handle&lt;OrderPlaced&gt;((OrderPlaced order, IMailer mailer, CancellationToken token) => mailer.SendAsync(order,
    /// token))</c>. Services are resolved for each message, by <see cref="FromKeyedServicesAttribute"/> those with a key; one with a
    /// default value may be absent. A service that is not registered keeps the host from starting.
    /// </remarks>
    /// <typeparam name="TMessage">The type of the messages.</typeparam>
    /// <param name="handle">
    /// The handler, which returns a <see cref="Task"/> or <see cref="ValueTask"/>, or nothing when it does not wait.
    /// </param>
    /// <param name="topic">
    /// The topic that they come by, where <see cref="KvEnqueueOptions.Topic"/> chose another; null for that of the type.
    /// </param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">The delegate returns something else, or takes something by reference.</exception>
    /// <exception cref="InvalidOperationException">The message has a handler on the topic already.</exception>
    public KvWorkerBuilder Handle<TMessage>(Delegate handle, string? topic = null)
    {
        ArgumentNullException.ThrowIfNull(handle);
        var name = MessageName.Handled<TMessage>();
        var (call, services) = InjectedHandler.Make<TMessage>(handle);
        _handlers.Add(Valid(topic ?? name.Topic), name, call);
        _handlers.Needs.Add($"The handler of '{name.Name}' on the topic '{topic ?? name.Topic}'", services);
        return this;
    }

    /// <summary>
    /// Handles whatever comes by a topic and has no handler of its own: <see cref="KvMessageContext.Payload"/> has the bytes.
    /// </summary>
    /// <param name="topic">The topic; empty for messages that programs without topics put in.</param>
    /// <param name="handle">The handler.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="InvalidOperationException">The topic has such a handler already.</exception>
    public KvWorkerBuilder HandleTopic(string topic, Func<KvMessageContext, CancellationToken, Task> handle)
    {
        ArgumentNullException.ThrowIfNull(topic);
        ArgumentNullException.ThrowIfNull(handle);
        if (!StoredText.IsValid(topic))
        {
            throw new ArgumentException(
                "The topic has a NUL or half of a surrogate pair, and no message comes by such a topic.", nameof(topic));
        }

        _handlers.Add(topic, new KvMessageDelegate(handle));
        return this;
    }

    /// <summary>Says how the messages of a topic are treated: concurrency, lease, retries, dead letters, rates.</summary>
    /// <param name="topic">The topic; that of a message type is its <see cref="KvMessageAttribute.Topic"/>, by default its name.</param>
    /// <param name="options">Changes the topic's options. A later call sees what an earlier one did.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">An option cannot work.</exception>
    public KvWorkerBuilder Topic(string topic, Action<KvTopicOptions> options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _handlers.Change(Valid(topic), options);
        return this;
    }

    /// <summary>Says how the messages of a type are treated: the options of its topic.</summary>
    /// <typeparam name="TMessage">The type of the messages.</typeparam>
    /// <param name="options">Changes the topic's options.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">An option cannot work.</exception>
    public KvWorkerBuilder Topic<TMessage>(Action<KvTopicOptions> options) => Topic(MessageName.Handled<TMessage>().Topic, options);

    /// <summary>Runs a class around the handlers of all messages, inside of what was added before it.</summary>
    /// <typeparam name="TMiddleware">The class; added to the services as scoped unless it is there already.</typeparam>
    /// <returns>This builder.</returns>
    public KvWorkerBuilder Use<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TMiddleware>()
        where TMiddleware : class, IKvMessageMiddleware
    {
        Services.TryAddScoped<TMiddleware>();
        _handlers.Needs.Add($"The middleware {TypeText.Of(typeof(TMiddleware))}", typeof(TMiddleware));
        _handlers.Use<TMiddleware>();
        return this;
    }

    /// <summary>Runs a delegate around the handlers of all messages, inside of what was added before it.</summary>
    /// <param name="middleware">See <see cref="IKvMessageMiddleware.InvokeAsync"/>.</param>
    /// <returns>This builder.</returns>
    public KvWorkerBuilder Use(Func<KvMessageContext, KvMessageDelegate, CancellationToken, Task> middleware)
    {
        ArgumentNullException.ThrowIfNull(middleware);
        _handlers.Use(middleware);
        return this;
    }

    /// <summary>Enqueues a message at each tick of a schedule, once over all processes that have the schedule.</summary>
    /// <remarks>
    /// The schedule begins with its first tick after its first start anywhere, and again after it was changed. It is noted in the entry
    /// <c>["efkv", "schedules", name]</c>; one that no process of the application (<see cref="KvWorkerOptions.ApplicationName"/>) has had
    /// in its code for 10 minutes, while another one ran, is removed. <see cref="IKvSchedules"/> pauses and triggers it. If its message
    /// cannot be made or is refused, it is tried again with pauses of 1 to 30 seconds and named in log and health; other schedules go on.
    /// </remarks>
    /// <typeparam name="TMessage">The type of the messages.</typeparam>
    /// <param name="name">What the ticks are counted under: 1 to 200 characters without control characters.</param>
    /// <param name="schedule">When.</param>
    /// <param name="message">Makes the message of a tick. Those of different schedules may be called at the same time.</param>
    /// <param name="options">What happens to missed ticks, and how the messages are delivered.</param>
    /// <returns>This builder.</returns>
    /// <exception cref="ArgumentException">The name cannot be one.</exception>
    /// <exception cref="InvalidOperationException">There is a schedule of that name already.</exception>
    public KvWorkerBuilder Schedule<TMessage>(
        string name, KvSchedule schedule, Func<DateTimeOffset, TMessage> message, KvScheduleOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(schedule);
        ArgumentNullException.ThrowIfNull(message);
        options ??= new KvScheduleOptions();
        if (typeof(TMessage) is { IsInterface: false, IsAbstract: false } && typeof(TMessage) != typeof(object))
        {
            // Else the messages say what they are when they are made.
            _ = MessageName.Of<TMessage>();
        }

        ScheduledMessage.Validate(name, options);
        _schedules.Add(new ScheduledMessage(
            name,
            schedule,
            options.Missed,
            (write, tick) => write.Enqueue(message(tick), options.Enqueue)));
        return this;
    }

    /// <summary>Enqueues the same message at each tick of a schedule, once over all processes that have the schedule.</summary>
    /// <inheritdoc
    ///   cref="Schedule{TMessage}(string, KvSchedule, Func{DateTimeOffset, TMessage}, KvScheduleOptions?)"
    ///   path="/remarks|/typeparam|/exception" />
    /// <param name="name">What the ticks are counted under: 1 to 200 characters without control characters.</param>
    /// <param name="schedule">When.</param>
    /// <param name="message">The message of every tick.</param>
    /// <param name="options">What happens to missed ticks, and how the messages are delivered.</param>
    /// <returns>This builder.</returns>
    public KvWorkerBuilder Schedule<TMessage>(string name, KvSchedule schedule, TMessage message, KvScheduleOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(message);
        _ = MessageName.Of(message.GetType());
        return Schedule(name, schedule, _ => message, options);
    }

    private static string Valid(string topic)
    {
        ArgumentNullException.ThrowIfNull(topic);
        return topic.Length == 0 ? topic : KvMessageAttribute.Valid(topic, nameof(topic));
    }
}
