using System.Diagnostics;

namespace Kv.Diagnostics;

/// <summary>The spans of the store. Its statements run on connections of its own, which no command interceptor of EF Core sees.</summary>
/// <remarks>Names and attributes are those of OpenTelemetry's semantic conventions for database clients. Without a listener there are none.</remarks>
internal static class KvTracing
{
    private const string Table = "kv";

    /// <summary>Of everything that EfKv traces, its worker's handlers too.</summary>
    public static ActivitySource Source { get; } = new(KvDiagnostics.ActivitySourceName);

    /// <summary>Whether there is a listener.</summary>
    public static bool IsOn => Source.HasListeners();

    /// <summary>The span in which something is asked of the store, for what does it later together with other things.</summary>
    public static Activity? Caller => IsOn ? Activity.Current : null;

    /// <summary>Begins the span of a call.</summary>
    /// <param name="operation">What is called.</param>
    /// <param name="store">Of which store.</param>
    /// <param name="size">How many things it is about, which is only told of several.</param>
    public static Activity? Start(string operation, TracedStore store, int size = 1) =>
        IsOn ? Describe(Source.StartActivity($"{operation} {Table}", ActivityKind.Client), operation, store, size) : null;

    /// <summary>Begins the span of a transaction, below the call that has it to itself; calls that share it are linked.</summary>
    /// <param name="store">The store.</param>
    /// <param name="size">How many calls share it.</param>
    /// <param name="spans">The spans that these were made in, where there are any.</param>
    public static Activity? StartTransaction(TracedStore store, int size, IEnumerable<Activity?> spans)
    {
        if (!IsOn)
        {
            return null;
        }

        const string Operation = "transaction";
        var callers = spans.Select(static span => span?.Context).OfType<ActivityContext>().ToList();
        var parent = size == 1 && callers.Count == 1 ? callers[0] : default;

        // Else it would be below whatever is current: the call that happens to lead, or the one that started the worker.
        Activity.Current = null;
        var span = Source.StartActivity(
            $"{Operation} {Table}", ActivityKind.Client, parent, links: parent == default ? callers.Select(static c => new ActivityLink(c)) : null);
        return Describe(span, Operation, store, size);
    }

    /// <summary>Notes why what the span is of failed.</summary>
    public static void Fail(this Activity span, Exception error) =>
        span.SetStatus(ActivityStatusCode.Error, error.Message).SetTag("error.type", error.GetType().FullName).AddException(error);

    private static Activity? Describe(Activity? span, string operation, TracedStore store, int size)
    {
        store.Name(span)?.SetTag("db.system.name", store.System).SetTag("db.operation.name", operation).SetTag("db.collection.name", Table);
        return size > 1 ? span?.SetTag("db.operation.batch.size", size) : span;
    }
}
