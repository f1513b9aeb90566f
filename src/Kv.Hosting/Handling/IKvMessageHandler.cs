namespace Kv;

/// <summary>Handles the messages of one type. Each message gets an instance from a scope of its own.</summary>
/// <typeparam name="TMessage">The type of the message; its <see cref="KvMessageAttribute"/> names it.</typeparam>
public interface IKvMessageHandler<in TMessage>
{
    /// <summary>
    /// Handles a message. Returning completes it, unless a <c>CompleteAsync</c> was refused; that and an exception make it wait for its
    /// next attempt.
    /// </summary>
    /// <remarks>
    /// Delivery is at least once: after a crash or a lost lease a message comes again. Effects in the store are exactly once when they are
    /// committed with <see cref="KvMessageContext.CompleteAsync(Action{KvAtomic}, CancellationToken)"/>.
    /// </remarks>
    /// <param name="message">The message.</param>
    /// <param name="context">What the message carries, and the means to complete it with a write.</param>
    /// <param name="cancellationToken">
    /// Cancelled when the lease is lost, or when the worker stops and the time to finish is over: throw or return soon, an interrupted
    /// attempt costs no retry. Cancelled also when the message is cancelled, which is removed if the handler then throws, and after
    /// <see cref="KvTopicOptions.HandlerTimeout"/>, where an exception is a failed attempt.
    /// </param>
    Task HandleAsync(TMessage message, KvMessageContext context, CancellationToken cancellationToken);
}
