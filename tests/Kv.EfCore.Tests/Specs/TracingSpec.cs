using System.Diagnostics;
using Kv.Diagnostics;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>What command interceptors of EF Core do not see, the store's own spans show.</summary>
public abstract class TracingSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();

    /// <summary>What OpenTelemetry calls the database.</summary>
    protected abstract string SystemName { get; }

    [Fact]
    public async Task Calls_are_spans_below_their_callers()
    {
        await using var test = await database.CreateStoreAsync();
        using var root = Spans.Begin();

        await test.Store.SetAsync(["a"], 1);
        await test.Store.Atomic().Check(["a"], null).Set(["a"], 2).Set(["b"], 2).CommitAsync();
        await test.Store.GetAsync(["a"]);
        await test.Store.GetManyAsync([["a"], ["b"]]);
        await test.Store.ExistsAsync(["a"]);
        await test.Store.CountAsync(KvRange.Prefix([]));
        await foreach (var _ in test.Store.ListAsync(KvRange.Prefix([])))
        {
            // One row.
        }

        var calls = Spans.Of(root).Where(span => span.ParentSpanId == root.SpanId).ToList();
        Assert.Equal(["commit kv", "commit kv", "get kv", "get_many kv", "exists kv", "count kv", "list kv"], calls.Select(static span => span.DisplayName));
        Assert.All(calls, span => Assert.Equal(
            (ActivityKind.Client, SystemName, "kv", ActivityStatusCode.Unset),
            (span.Kind, span.GetTagItem("db.system.name"), span.GetTagItem("db.collection.name"), span.Status)));
        Assert.Equal([null, 2, null, 2, null, null, null], calls.Select(static span => (int?)span.GetTagItem("db.operation.batch.size")));
        Assert.Equal(1, calls[^1].GetTagItem("db.response.returned_rows"));
    }

    [Fact]
    public async Task A_transaction_is_below_the_call_that_has_it_to_itself()
    {
        await using var test = await database.CreateStoreAsync();
        using var root = Spans.Begin();

        await test.Store.SetAsync(["a"], 1);

        var spans = Spans.Of(root);
        var transaction = Assert.Single(spans, static span => span.DisplayName == "transaction kv");
        Assert.Equal(Assert.Single(spans, static span => span.DisplayName == "commit kv").SpanId, transaction.ParentSpanId);
        Assert.Equal((1, 0), (transaction.GetTagItem("efkv.writes"), transaction.GetTagItem("efkv.claims")));
    }

    [Fact]
    public async Task A_transaction_that_calls_share_is_linked_to_each_and_below_none()
    {
        await using var test = await database.CreateStoreAsync();
        var (reached, held) = (new TaskCompletionSource(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        test.FailPoints.OnHit = async point =>
        {
            if (point == FailPoints.BeforeCommit && reached.TrySetResult())
            {
                await held.Task.WaitAsync(Rows.Patience, TimeProvider.System);
            }
        };
        var first = Task.Run(() => test.Store.SetAsync(["first"], 1).AsTask());
        await reached.Task.WaitAsync(Rows.Patience, TimeProvider.System);
        var (one, waitsOne) = Begin("one");
        var (two, waitsTwo) = Begin("two");
        held.SetResult();
        await Task.WhenAll(first, waitsOne, waitsTwo);

        // Answers come before the span ends; whoever disposes waits for that.
        await test.Engine.DisposeAsync();
        var transaction = Assert.Single(Spans.LinkedTo(one));
        Assert.Equal(transaction, Assert.Single(Spans.LinkedTo(two)));
        Assert.Null(transaction.ParentId);
        Assert.Equal((2, 2), (transaction.GetTagItem("efkv.writes"), transaction.Links.Count()));

        (Activity, Task) Begin(string key)
        {
            using var root = Spans.Begin();
            return (root, test.Store.SetAsync([key], 1).AsTask());
        }
    }

    [Fact]
    public async Task A_call_that_fails_says_why()
    {
        await using var test = await database.CreateStoreAsync();
        await test.Store.SetAsync(["text"], "no number");
        using var root = Spans.Begin();

        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.Atomic().Sum(["text"], 1).CommitAsync().AsTask());

        var call = Assert.Single(Spans.Of(root), span => span.ParentSpanId == root.SpanId);
        Assert.Equal((ActivityStatusCode.Error, error.Message, typeof(KvException).FullName), (call.Status, call.StatusDescription, call.GetTagItem("error.type")));
    }

    [Fact]
    public async Task What_the_store_does_by_itself_is_no_part_of_the_call_that_opened_it()
    {
        await using var test = await database.CreateStoreAsync(_time, static options => (options.SweepInterval, options.WatchInterval) = (TimeSpan.FromDays(1), TimeSpan.FromDays(1)));
        ActivityTraceId trace;
        using (var root = Spans.Begin())
        {
            trace = root.TraceId;
            await test.Store.SetAsync(["gone"], 1, TimeSpan.FromHours(1));
        }

        // Nothing but the sweeper wakes the watcher.
        await using var watch = test.Store.WatchAsync([["gone"]]).GetAsyncEnumerator();
        Assert.NotNull((await watch.NextAsync())[0]);
        await _time.WhenNextTimerAsync(next => next == _time.GetUtcNow() + TimeSpan.FromHours(1));
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Null((await watch.NextAsync())[0]);
        await test.Engine.DisposeAsync();
        Assert.Equal(["transaction kv", "commit kv"], Spans.Of(trace).Select(static span => span.DisplayName).Where(static name => name != "test"));
    }

    /// <summary>Tests run side by side, and listeners hear of all of them: each looks at the traces that it began.</summary>
    private static class Spans
    {
        private static readonly ActivitySource Source = new("Kv.Tests.Tracing");
        private static readonly List<Activity> All = [];

        static Spans() => ActivitySource.AddActivityListener(new ActivityListener
        {
            ShouldListenTo = static source => source.Name is "Kv" or "Kv.Tests.Tracing",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = static activity =>
            {
                lock (All)
                {
                    All.Add(activity);
                }
            },
        });

        public static Activity Begin() => Source.StartActivity("test", ActivityKind.Internal, new ActivityContext(ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded))!;

        public static List<Activity> Of(Activity root) => Of(root.TraceId);

        public static List<Activity> Of(ActivityTraceId trace) => Where(span => span.TraceId == trace);

        public static List<Activity> LinkedTo(Activity root) => Where(span => span.Links.Any(link => link.Context.TraceId == root.TraceId));

        private static List<Activity> Where(Predicate<Activity> predicate)
        {
            lock (All)
            {
                return All.FindAll(predicate);
            }
        }
    }
}

public sealed class SqliteTracingTests(SqliteDatabase database) : TracingSpec(database), IClassFixture<SqliteDatabase>
{
    protected override string SystemName => "sqlite";
}

public sealed class PostgresTracingTests(PostgresDatabase database) : TracingSpec(database), IClassFixture<PostgresDatabase>
{
    protected override string SystemName => "postgresql";
}
