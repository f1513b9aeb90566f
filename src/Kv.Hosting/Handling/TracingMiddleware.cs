using System.Diagnostics;
using Kv.Diagnostics;

namespace Kv.Handling;

/// <summary>Runs a handler in a span that is linked to the one in which the message was enqueued.</summary>
/// <remarks>
/// A link and not a parent: a message may be handled long after, more than once. Names and attributes are those of OpenTelemetry's semantic
/// conventions for messaging.
/// </remarks>
internal sealed class TracingMiddleware : IKvMessageMiddleware
{
    public async Task InvokeAsync(KvMessageContext context, KvMessageDelegate next, CancellationToken cancellationToken)
    {
        using var activity = KvTracing.IsOn ? Start(context) : null;
        context.Traced.Name(activity)?.SetTag("messaging.system", "efkv").SetTag("messaging.operation.type", "process")
            .SetTag("messaging.destination.name", context.Topic).SetTag("messaging.message.id", context.Id)
            .SetTag("efkv.message.type", context.Type).SetTag("efkv.message.attempt", context.Attempt);
        try
        {
            await next(context, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception error)
        {
            activity?.Fail(error);
            throw;
        }
    }

    private static Activity? Start(KvMessageContext context)
    {
        ActivityLink[] links = ActivityContext.TryParse(context.Trace, null, out var origin) ? [new(origin)] : [];
        return KvTracing.Source.StartActivity($"process {context.Topic}", ActivityKind.Consumer, default(ActivityContext), links: links);
    }
}
