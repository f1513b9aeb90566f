using Kv;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace OpenTelemetry;

/// <summary>Has OpenTelemetry collect what stores and their workers tell.</summary>
public static class KvInstrumentationExtensions
{
    /// <summary>Collects traces and metrics: <c>services.AddOpenTelemetry().AddKvInstrumentation()</c>.</summary>
    /// <param name="builder">What <c>AddOpenTelemetry</c> returns.</param>
    /// <returns>The same builder.</returns>
    public static IOpenTelemetryBuilder AddKvInstrumentation(this IOpenTelemetryBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder
            .WithTracing(static tracing => tracing.AddKvInstrumentation())
            .WithMetrics(static metrics => metrics.AddKvInstrumentation());
    }

    /// <summary>Collects traces: the spans of <see cref="KvDiagnostics.ActivitySourceName"/>.</summary>
    /// <param name="builder">The builder of the application's tracing.</param>
    /// <returns>The same builder.</returns>
    public static TracerProviderBuilder AddKvInstrumentation(this TracerProviderBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.AddSource(KvDiagnostics.ActivitySourceName);
    }

    /// <summary>Collects metrics: those of <see cref="KvMetrics"/>.</summary>
    /// <param name="builder">The builder of the application's metrics.</param>
    /// <returns>The same builder.</returns>
    public static MeterProviderBuilder AddKvInstrumentation(this MeterProviderBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.AddMeter(KvDiagnostics.MeterName);
    }
}
