using Kv;

namespace EfKvApp;

/// <summary>A report is due. The name stands in the queue, so the type can be renamed while messages wait.</summary>
[KvMessage("report-due")]
internal sealed record ReportDue;

/// <summary>Makes reports. A handler that throws is called again later, also by another process.</summary>
internal sealed class ReportHandler(IKvStore kv, ILogger<ReportHandler> logger) : IKvMessageHandler<ReportDue>
{
    private static readonly KvKey Reports = ["reports"];

    public async Task HandleAsync(ReportDue message, KvMessageContext context, CancellationToken cancellationToken)
    {
        // What is written and the end of the message are one commit: each report counts exactly once, whatever crashes.
        await context.CompleteAsync(write => write.Sum(Reports, 1), cancellationToken);
        logger.LogInformation("Reports so far: {Reports}", await kv.GetAsync<ulong>(Reports, cancellationToken));
    }
}
