using System.Diagnostics;

namespace Kv.Diagnostics;

/// <summary>What spans say of the store that they are about.</summary>
/// <param name="System">What OpenTelemetry calls the database.</param>
/// <param name="Store">The name that the store was added under; empty for the one without a name.</param>
internal sealed record TracedStore(string System, string Store)
{
    /// <summary>Tags a span with the name of the store, if it has one.</summary>
    public Activity? Name(Activity? span) => Store.Length > 0 ? span?.SetTag(KvDiagnostics.StoreTag, Store) : span;
}
