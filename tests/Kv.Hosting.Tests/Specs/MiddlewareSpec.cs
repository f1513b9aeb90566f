using System.Diagnostics;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.Specs;

public abstract class MiddlewareSpec(KvDatabase database)
{
    private readonly List<string> _seen = [];

    [Fact]
    public async Task Middleware_runs_in_the_order_of_its_registration_around_the_handler()
    {
        await using var kv = await UsingAsync(worker => worker.Use(Noting("outer")).Use(Noting("inner")));
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        Assert.Equal(["outer begins", "inner begins", "handler", "inner ends", "outer ends"], _seen);
        kv.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_middleware_class_comes_from_the_scope_of_the_message()
    {
        await using var kv = await UsingAsync(worker =>
        {
            worker.Services.AddScoped<Scoped>().AddSingleton(_seen);
            worker.Use<ScopedMiddleware>();
        });
        await kv.Store.EnqueueAsync(new Job(1));
        await kv.DrainAsync();
        await kv.Store.EnqueueAsync(new Job(2));
        await kv.DrainAsync();

        Assert.Equal(["same scope", "handler", "same scope", "handler"], _seen);
    }

    [Fact]
    public async Task Middleware_that_does_not_call_on_completes_the_message()
    {
        await using var kv = await UsingAsync(static worker => worker.Use(static (_, _, _) => Task.CompletedTask));
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        Assert.Empty(_seen);
        kv.AssertQueueEmpty();
        kv.AssertNoDeadLetters();
    }

    [Fact]
    public async Task An_exception_of_middleware_fails_the_attempt()
    {
        await using var kv = await UsingAsync(
            static worker => worker.Use(static (_, _, _) => throw new InvalidOperationException("Not past me.")));
        await kv.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await kv.DrainAsync();

        Assert.Empty(_seen);
        Assert.Equal("Not past me.", kv.AssertDeadLetter<Job>().LastError!.Message);
    }

    [Fact]
    public async Task Middleware_sees_the_exception_of_the_handler_and_may_decide_otherwise()
    {
        await using var kv = await UsingAsync(
            worker => worker.Use(async (context, next, token) =>
            {
                try
                {
                    await next(context, token);
                }
                catch (InvalidOperationException error)
                {
                    _seen.Add(error.Message);
                    context.DeadLetter("The middleware said so.");
                }
            }),
            static () => throw new InvalidOperationException("Not today."));
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        Assert.Equal(["handler", "Not today."], _seen);
        Assert.Equal("The middleware said so.", kv.AssertDeadLetter<Job>().Reason);
    }

    [Fact]
    public async Task Each_attempt_is_a_span_of_its_own_that_is_linked_to_the_one_of_the_enqueuer()
    {
        List<Activity> spans = [];
        using var source = new ActivitySource("Kv.Tests.Enqueuer");
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is "Kv" or "Kv.Tests.Enqueuer",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                lock (spans)
                {
                    spans.Add(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        var runs = 0;
        await using var kv = await UsingAsync(static _ => { }, () =>
        {
            if (runs++ == 0)
            {
                throw new InvalidOperationException("Not today.");
            }
        });
        ActivityContext origin;
        string id;
        using (var enqueuing = source.StartActivity("enqueuing")!)
        {
            origin = enqueuing.Context;
            id = (await kv.Store.Atomic().Enqueue(new Job(1), new() { BackoffSchedule = [TimeSpan.Zero] }).CommitAsync()).MessageIds[0];
        }

        using (source.StartActivity("somebody else's"))
        {
            await kv.DrainAsync();
        }

        Activity[] own;
        lock (spans)
        {
            own = [.. spans.Where(s => s.Source.Name == "Kv" && s.GetTagItem("messaging.message.id") as string == id)];
        }

        Assert.Equal(2, own.Length);
        Assert.All(own, span =>
        {
            Assert.Equal(("process job", ActivityKind.Consumer, null), (span.DisplayName, span.Kind, span.ParentId));
            Assert.Equal((origin.TraceId, origin.SpanId), (Assert.Single(span.Links).Context.TraceId, span.Links.Single().Context.SpanId));
            Assert.Equal("job", span.GetTagItem("messaging.destination.name"));
        });
        Assert.Equal(
            [(1, ActivityStatusCode.Error, "Not today."), (2, ActivityStatusCode.Unset, null)],
            own.Select(static s => ((int)s.GetTagItem("efkv.message.attempt")!, s.Status, s.StatusDescription)));
    }

    [Fact]
    public async Task All_that_a_handler_logs_says_which_message_it_is_about()
    {
        var scopes = new ScopeCollector();
        ILogger? logger = null;
        await using var kv = await UsingAsync(
            worker => worker.Services.AddSingleton<ILoggerProvider>(scopes), () => logger!.LogWarning("From the handler."));
        logger = kv.Services.GetRequiredService<ILoggerFactory>().CreateLogger("Mine");
        var id = (await kv.Store.Atomic().Enqueue(new Job(1)).CommitAsync()).MessageIds[0];

        await kv.DrainAsync();

        Assert.Equal($"Message {id} of 'job', attempt 1", Assert.Single(scopes.Scopes));
    }

    private Task<KvTestHost> UsingAsync(Action<KvWorkerBuilder> use, Action? handle = null) => database.StartAsync(
        worker =>
        {
            use(worker);
            worker.Handle<Job>((_, _, _) =>
            {
                _seen.Add("handler");
                handle?.Invoke();
                return Task.CompletedTask;
            });
        });

    private Func<KvMessageContext, KvMessageDelegate, CancellationToken, Task> Noting(string name) => async (context, next, token) =>
    {
        _seen.Add($"{name} begins");
        await next(context, token);
        _seen.Add($"{name} ends");
    };

    private sealed class Scoped;

    private sealed class ScopedMiddleware(Scoped scoped, List<string> seen) : IKvMessageMiddleware
    {
        private int _runs;

        public Task InvokeAsync(KvMessageContext context, KvMessageDelegate next, CancellationToken cancellationToken)
        {
            var isOwn = ReferenceEquals(scoped, context.Services.GetRequiredService<Scoped>()) && _runs++ == 0;
            seen.Add(isOwn ? "same scope" : "another scope");
            return next(context, cancellationToken);
        }
    }

    /// <summary>Keeps the scopes around what is logged as "Mine".</summary>
    private sealed class ScopeCollector : ILoggerProvider, ISupportExternalScope
    {
        private IExternalScopeProvider _provider = new LoggerExternalScopeProvider();

        public List<string> Scopes { get; } = [];

        public void SetScopeProvider(IExternalScopeProvider scopeProvider) => _provider = scopeProvider;

        public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

        public void Dispose()
        {
        }

        private sealed class Logger(ScopeCollector collector, string category) : ILogger
        {
            public IDisposable? BeginScope<TState>(TState state)
                where TState : notnull => collector._provider.Push(state);

            public bool IsEnabled(LogLevel logLevel) => true;

            public void Log<TState>(
                LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
            {
                if (category == "Mine")
                {
                    collector._provider.ForEachScope(static (scope, scopes) => scopes.Add($"{scope}"), collector.Scopes);
                }
            }
        }
    }
}

public sealed class SqliteMiddlewareTests(SqliteDatabase database) : MiddlewareSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresMiddlewareTests(PostgresDatabase database) : MiddlewareSpec(database), IClassFixture<PostgresDatabase>;
