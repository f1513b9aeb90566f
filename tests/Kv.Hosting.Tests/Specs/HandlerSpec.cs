using System.Collections.Concurrent;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

public abstract class HandlerSpec(KvDatabase database)
{
    [Fact]
    public async Task A_class_handles_each_message_in_a_scope_of_its_own()
    {
        await using var kv = await database.StartAsync(
            worker =>
            {
                worker.Services.AddSingleton<Journal>().AddScoped<Scoped>();
                worker.Handle<Job, JobHandler>();
            });
        await kv.Store.EnqueueAsync(new Job(1));
        await kv.Store.EnqueueAsync(new Job(2));

        await kv.DrainAsync();

        var journal = kv.Services.GetRequiredService<Journal>();
        Assert.Equal([1, 2], journal.Handled.Keys.Order());
        Assert.Equal(2, journal.Handled.Values.Distinct().Count());
        Assert.All(journal.Handled.Values, scoped => Assert.True(scoped.IsDisposed));
        kv.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_delegate_gets_the_message_as_it_was_enqueued_and_what_it_carries()
    {
        KvMessageContext? seen = null;
        Order? order = null;
        await using var kv = await database.StartAsync(
            worker => worker.Handle<Order>((message, context, _) =>
            {
                (order, seen) = (message, context);
                return Task.CompletedTask;
            }));
        var sent = new Order(42, "Füße ☃", [1.5m, -2m], new(2026, 5, 1, 12, 0, 0, TimeSpan.FromHours(2)));
        await kv.Store.EnqueueAsync(sent);
        var id = kv.AssertEnqueued<Order>().Id;

        await kv.DrainAsync();

        Assert.Equal((sent.Number, sent.Name, sent.At), (order!.Number, order.Name, order.At));
        Assert.Equal(sent.Prices, order.Prices);
        Assert.Equal((id, "orders", "order", 1), (seen!.Id, seen.Topic, seen.Type, seen.Attempt));
        Assert.Equal(kv.Now, seen.EnqueuedAt);
        Assert.Same(kv.Store, seen.Store);
    }

    [Fact]
    public async Task A_row_with_the_five_columns_of_Deno_arrives_undecoded()
    {
        KvMessageContext? seen = null;
        await using var kv = await database.StartAsync(
            worker => worker.HandleTopic("", (context, _) =>
            {
                seen = context;
                return Task.CompletedTask;
            }));
        byte[] data = [0xFF, 0x0F, 0x22, 0x01, 0x61];
        await kv.ExecuteAsync(
            "insert into queue (ts, id, data, backoff_schedule, keys_if_undelivered) "
            + "values ({0}, '2b0c54c3-6f0f-4a25-9d6f-b8a1c0a0f00d', {1}, '[100]', '[]')",
            kv.Now.ToUnixTimeMilliseconds(), data);

        await kv.DrainAsync();

        Assert.Equal(KvEncoding.V8, seen!.Payload.Encoding);
        Assert.Equal(1, (int)seen.Payload.Encoding);
        Assert.Equal(data, seen.Payload.Bytes.ToArray());
        Assert.Equal(("", "", 1), (seen.Topic, seen.Type, seen.Attempt));
        kv.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_handler_of_a_topic_takes_what_has_none_of_its_own()
    {
        ConcurrentQueue<string> seen = [];
        await using var kv = await database.StartAsync(
            worker => worker
                .Handle<Job>((_, _, _) => Note("typed"))
                .HandleTopic("job", (context, _) => Note(context.Type)));
        await kv.Store.EnqueueAsync(new Job(1));
        await kv.Store.EnqueueAsync(new Other(), new() { Topic = "job" });

        await kv.DrainAsync();

        Assert.Equal(["other", "typed"], seen.Order(StringComparer.Ordinal));

        Task Note(string text)
        {
            seen.Enqueue(text);
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task A_message_of_a_topic_that_nobody_here_handles_waits()
    {
        await using var kv = await database.StartAsync(static worker => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask));
        await kv.Store.EnqueueAsync(new Other());
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        kv.AssertEnqueued<Other>();
        kv.AssertNotEnqueued<Job>();
    }

    [Fact]
    public async Task What_cannot_be_disposed_of_does_not_make_a_handled_message_come_again()
    {
        var logs = new LogCollector();
        var handled = 0;
        await using var kv = await database.StartAsync(
            worker =>
            {
                worker.Services.AddScoped<Sticky>();
                worker.Handle<Job>((_, context, _) =>
                {
                    context.Services.GetRequiredService<Sticky>();
                    handled++;
                    return Task.CompletedTask;
                });
            },
            logs: logs);
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        Assert.Equal(1, handled);
        Assert.Contains(logs.Entries, static e => e.Event == 113);
        kv.AssertQueueEmpty();
    }

    [KvMessage("order", Topic = "orders")]
    private sealed record Order(long Number, string Name, decimal[] Prices, DateTimeOffset At);

    [KvMessage("other")]
    private sealed record Other;

    private sealed class Journal
    {
        public ConcurrentDictionary<int, Scoped> Handled { get; } = [];
    }

    private sealed class Scoped : IDisposable
    {
        public bool IsDisposed { get; private set; }

        public void Dispose() => IsDisposed = true;
    }

    private sealed class Sticky : IDisposable
    {
        public void Dispose() => throw new InvalidOperationException("I stay.");
    }

    private sealed class JobHandler(Journal journal, Scoped scoped) : IKvMessageHandler<Job>
    {
        public Task HandleAsync(Job message, KvMessageContext context, CancellationToken cancellationToken)
        {
            journal.Handled[message.Number] = scoped;
            return Task.CompletedTask;
        }
    }
}

public sealed class SqliteHandlerTests(SqliteDatabase database) : HandlerSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresHandlerTests(PostgresDatabase database) : HandlerSpec(database), IClassFixture<PostgresDatabase>;
