namespace Kv;

/// <summary>The rest of the way of a message: the middleware that comes after, and the handler.</summary>
/// <param name="context">The message.</param>
/// <param name="cancellationToken">Cancelled when the handler should stop.</param>
public delegate Task KvMessageDelegate(KvMessageContext context, CancellationToken cancellationToken);

/// <summary>
/// Runs around the handlers of all messages: before, after, instead, or when they fail. Made in the scope of each message.
/// </summary>
public interface IKvMessageMiddleware
{
    /// <summary>
    /// Handles a message by calling the rest of its way. An exception fails the attempt; returning without calling it completes the
    /// message, unless a <c>CompleteAsync</c> was refused.
    /// </summary>
    /// <param name="context">The message.</param>
    /// <param name="next">The rest of the way.</param>
    /// <param name="cancellationToken">Cancelled when the handler should stop; hand it on.</param>
    Task InvokeAsync(KvMessageContext context, KvMessageDelegate next, CancellationToken cancellationToken);
}
