using System.Collections.Concurrent;
using System.Diagnostics;
using System.Transactions;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.Specs;

/// <summary>What is around a handler: nothing of whoever enqueued or started, by whatever way the message comes, but the link of its trace.</summary>
public abstract class SurroundingsSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly ConcurrentQueue<(int Number, int Attempt, Surroundings Around, string Scopes, string? Parent)> _seen = [];
    private readonly TaskCompletionSource _all = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Around _scopes = new();
    private int _expected;

    [Fact]
    public async Task A_message_that_the_commit_that_brings_it_claims_is_handled_in_none_of_the_enqueuers_surroundings()
    {
        await using var test = await StartAsync(1);

        await InSurroundingsAsync(test, () => test.Store.EnqueueAsync(new Job(1)).AsTask());

        await AllSeenAsync();
    }

    [Fact]
    public async Task A_burst_of_messages_is_handled_in_none_of_the_enqueuers_surroundings()
    {
        await using var test = await StartAsync(60);

        await InSurroundingsAsync(test, () => Task.WhenAll(Enumerable.Range(0, 60).Select(i => test.Store.EnqueueAsync(new Job(i)).AsTask())));

        await AllSeenAsync();
    }

    [Fact]
    public async Task A_retry_a_delayed_message_and_a_replayed_one_are_handled_in_none_of_the_enqueuers_surroundings()
    {
        await using var test = await CreateAsync();
        await InSurroundingsAsync(test, async () =>
        {
            await test.Store.EnqueueAsync(new Job(-1), new() { BackoffSchedule = [TimeSpan.FromSeconds(1)] });
            await test.Store.EnqueueAsync(new Job(2), new() { Delay = TimeSpan.FromSeconds(1) });

            // Whoever runs a round by hand leaves nothing of his own in it either.
            await test.SettleAsync();
            _time.Advance(TimeSpan.FromSeconds(2));
            await test.SettleAsync();
            Assert.True(await test.Queue().ReplayAsync(Assert.Single(await test.DeadLettersAsync())));
            await test.SettleAsync();
        });

        Assert.Equal([(-1, 1), (-1, 1), (-1, 2), (2, 1)], _seen.Select(static s => (s.Number, s.Attempt)).Take(4).Order());
        AssertClean();
    }

    [Fact]
    public async Task A_message_of_a_users_own_transaction_is_handled_in_none_of_its_surroundings()
    {
        await using var test = await StartAsync(1);

        await InSurroundingsAsync(test, async () =>
        {
            await using var context = test.CreateContext();
            await using var transaction = await context.Database.BeginTransactionAsync();
            await test.Store.Atomic().Enqueue(new Job(1)).CommitAsync(context);
            await transaction.CommitAsync();
        });

        await AllSeenAsync();
    }

    [Fact]
    public async Task A_worker_that_is_started_in_surroundings_has_none_and_neither_have_its_schedules()
    {
        var ticks = new ConcurrentQueue<Surroundings>();
        Surroundings.Set();
        await using var test = await CreateAsync(worker => worker.Schedule("s", KvSchedule.Every(TimeSpan.FromSeconds(1)), _ =>
        {
            ticks.Enqueue(Surroundings.Here);
            return new Job(1);
        }), TimeProvider.System);
        _expected = 1;
        foreach (var service in test.Services.GetServices<Microsoft.Extensions.Hosting.IHostedService>())
        {
            await service.StartAsync(CancellationToken.None);
        }

        await AllSeenAsync();
        foreach (var service in test.Services.GetServices<Microsoft.Extensions.Hosting.IHostedService>())
        {
            await service.StopAsync(CancellationToken.None);
        }

        Assert.NotEmpty(ticks);
        Assert.All(ticks, static around => Assert.Equal(Surroundings.None, around));
    }

    [Fact]
    public async Task The_trace_is_handed_over_as_a_link_and_not_as_a_parent()
    {
        using var listener = new ActivityListener
        {
            ShouldListenTo = static source => source.Name is "Kv" or "request",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
        };
        ActivitySource.AddActivityListener(listener);
        using var source = new ActivitySource("request");
        string? trace = null;
        var link = new TaskCompletionSource<(string? Trace, Activity? Current)>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var test = await database.CreateWorkerAsync(worker => worker.Handle<Job>((_, context, _) =>
        {
            link.TrySetResult((context.Trace, Activity.Current));
            return Task.CompletedTask;
        }), _time);
        await test.StartAsync();
        await test.Worker().HasBegun.WaitAsync(WorkerTesting.Patience);
        using (var request = source.StartActivity("request"))
        {
            request!.AddBaggage("secret", "of the request");
            trace = request.Id;
            await test.Store.EnqueueAsync(new Job(1));
        }

        var (handed, current) = await link.Task.WaitAsync(WorkerTesting.Patience);
        await test.StopAsync();
        Assert.NotNull(handed);
        Assert.Equal(ActivityContext.Parse(trace!, null).TraceId, ActivityContext.Parse(handed, null).TraceId);
        Assert.Null(current!.Parent);
        Assert.Null(current.ParentId);
        Assert.Null(current.GetBaggageItem("secret"));
        Assert.Equal(ActivityContext.Parse(handed, null).SpanId, Assert.Single(current.Links).Context.SpanId);
    }

    [Fact]
    public async Task What_a_handler_does_with_its_message_in_a_scope_of_its_own_is_refused_and_the_message_stays()
    {
        var errors = new ConcurrentBag<string>();
        await using var test = await database.CreateWorkerAsync(worker => worker.Handle<Job>(async (_, context, token) =>
        {
            using (new TransactionScope(TransactionScopeAsyncFlowOption.Enabled))
            {
                await RefusedAsync(() => context.CompleteAsync(w => w.Set(["done"], 1), token).AsTask());
                await RefusedAsync(() => context.ReportProgressAsync(0.5, "half", token).AsTask());
                await RefusedAsync(() => context.SaveCheckpointAsync(1, token).AsTask());
                await RefusedAsync(() => context.Store.SetAsync(["done"], 1, cancellationToken: token).AsTask());
            }

            throw new InvalidOperationException("Once more.");
        }), _time);
        await test.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [TimeSpan.FromHours(1)] });

        await test.SettleAsync();

        Assert.Equal(4, errors.Count);
        Assert.All(errors, static text => Assert.StartsWith("A TransactionScope is open around the call", text, StringComparison.Ordinal));
        Assert.Null(await test.Store.GetAsync(["done"]));
        Assert.Equal(1, Assert.Single(await test.QueuedAsync()).Attempt);

        async Task RefusedAsync(Func<Task> write) => errors.Add((await Assert.ThrowsAsync<InvalidOperationException>(write)).Message);
    }

    private Task<KvTestStore> CreateAsync(Action<KvWorkerBuilder>? more = null, TimeProvider? time = null, Func<int, Task>? then = null) => database.CreateWorkerAsync(
        worker =>
        {
            worker.Services.AddLogging(logging => logging.AddProvider(new Scopes(_scopes)));
            worker.Handle<Job>(async (job, context, _) =>
            {
                _seen.Enqueue((job.Number, context.Attempt, Surroundings.Here, _scopes.Text, Activity.Current?.ParentId));
                if (then is not null)
                {
                    await then(job.Number);
                }

                if (_seen.Count == _expected)
                {
                    _all.TrySetResult();
                }

                if (job.Number < 0)
                {
                    throw new InvalidOperationException("It fails.");
                }
            });
            more?.Invoke(worker);
        },
        time ?? _time);

    private async Task<KvTestStore> StartAsync(int expected, Func<int, Task>? then = null)
    {
        _expected = expected;
        var test = await CreateAsync(then: then);
        await test.StartAsync();
        await test.Worker().HasBegun.WaitAsync(WorkerTesting.Patience);
        return test;
    }

    private async Task InSurroundingsAsync(KvTestStore test, Func<Task> enqueue)
    {
        Surroundings.Set();
        using var scope = test.Services.GetRequiredService<ILoggerFactory>().CreateLogger("request").BeginScope("REQ");
        Assert.Equal("REQ", _scopes.Text);
        await enqueue();
        Assert.Equal("REQ", Surroundings.Here.Local);
    }

    private async Task AllSeenAsync()
    {
        await _all.Task.WaitAsync(WorkerTesting.Patience);
        AssertClean();
    }

    private void AssertClean()
    {
        Assert.All(_seen, static s => Assert.Equal(Surroundings.None, s.Around));
        Assert.All(_seen, static s => Assert.DoesNotContain("REQ", s.Scopes, StringComparison.Ordinal));
        Assert.All(_seen, static s => Assert.Null(s.Parent));
    }

    /// <summary>Tells which scopes of loggers are around.</summary>
    private sealed class Around
    {
        public IExternalScopeProvider? Provider { get; set; }

        public string Text
        {
            get
            {
                var text = new List<string?>();
                Provider?.ForEachScope(static (scope, all) => all.Add(scope?.ToString()), text);
                return string.Join(' ', text);
            }
        }
    }

    private sealed class Scopes(Around around) : ILoggerProvider, ISupportExternalScope, ILogger
    {
        public void SetScopeProvider(IExternalScopeProvider scopeProvider) => around.Provider = scopeProvider;

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => false;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
        }

        public void Dispose()
        {
        }
    }
}

public sealed class SqliteSurroundingsTests(SqliteDatabase database) : SurroundingsSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresSurroundingsTests(PostgresDatabase database) : SurroundingsSpec(database), IClassFixture<PostgresDatabase>;
