using Kv.Diagnostics;
using Microsoft.Extensions.Logging;

namespace Kv.Handling;

/// <summary>Puts what identifies the message around all that its handler logs, and notes how long it took.</summary>
internal sealed class LoggingMiddleware(ILoggerFactory loggers, TimeProvider time) : IKvMessageMiddleware
{
    private static readonly Func<ILogger, string, string, int, IDisposable?> Scope =
        LoggerMessage.DefineScope<string, string, int>("Message {MessageId} of '{Topic}', attempt {Attempt}");

    private readonly ILogger _logger = new UnfailingLogger(loggers.CreateLogger("Kv.Worker"));

    public async Task InvokeAsync(KvMessageContext context, KvMessageDelegate next, CancellationToken cancellationToken)
    {
        using var scope = Scope(_logger, context.Id, context.Topic, context.Attempt);
        var started = time.GetTimestamp();
        await next(context, cancellationToken).ConfigureAwait(false);
        WorkerLog.Handled(_logger, context.Id, context.Topic, context.Attempt, time.GetElapsedTime(started));
    }
}
