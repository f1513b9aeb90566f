using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace EfKvApp;

/// <summary>Logs the health when it changes. A worker answers no requests, so whatever watches it reads its log, or is told from here.</summary>
internal sealed class HealthLog(ILogger<HealthLog> logger) : IHealthCheckPublisher
{
    private HealthStatus? _last;

    public Task PublishAsync(HealthReport report, CancellationToken cancellationToken)
    {
        if (report.Status != _last)
        {
            _last = report.Status;
            var level = report.Status == HealthStatus.Healthy ? LogLevel.Information : LogLevel.Warning;
            logger.Log(level, "Health: {Status} {Reasons}", report.Status, string.Join("; ", report.Entries.Values.Select(entry => entry.Description)));
        }

        return Task.CompletedTask;
    }
}
