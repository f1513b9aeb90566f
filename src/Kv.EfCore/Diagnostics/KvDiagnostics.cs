namespace Kv;

/// <summary>The names under which a store and its worker tell what they do.</summary>
public static class KvDiagnostics
{
    /// <summary>The name of the one source of all spans, of the store and of handlers: <c>tracing.AddSource(KvDiagnostics.ActivitySourceName)</c>.</summary>
    public const string ActivitySourceName = "Kv";
}
