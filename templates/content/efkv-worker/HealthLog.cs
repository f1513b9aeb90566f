using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace EfKvApp;

/// <summary>Logs the health when it changes: a worker answers no requests that could ask for it.</summary>
internal sealed class HealthLog(ILogger<HealthLog> logger) : IHealthCheckPublisher
{
    private HealthStatus? _last;

    public Task PublishAsync(HealthReport report, CancellationToken cancellationToken)
    {
        if (report.Status != _last)
        {
            _last = report.Status;
            var level = report.Status == HealthStatus.Healthy ? LogLevel.Information : LogLevel.Warning;
            var reasons = string.Join("; ", report.Entries.Values.Select(entry => entry.Description));
            logger.Log(level, "Health: {Status} {Reasons}", report.Status, reasons);
        }

        return Task.CompletedTask;
    }
}
