namespace Kv;

/// <summary>The names under which a store and its worker tell what they do.</summary>
public static class KvDiagnostics
{
    /// <summary>The name of the one source of all spans, of the store and of handlers: <c>tracing.AddSource(KvDiagnostics.ActivitySourceName)</c>.</summary>
    public const string ActivitySourceName = "Kv";

    /// <summary>The name of the one meter of all metrics (<see cref="KvMetrics"/>): <c>metrics.AddMeter(KvDiagnostics.MeterName)</c>.</summary>
    public const string MeterName = "Kv";

    /// <summary>The tag of spans and metrics that has the name of their store, where it was added under one.</summary>
    public const string StoreTag = "efkv.store";
}
