using System.Collections.Concurrent;
using System.Text.Json.Serialization;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.Specs;

/// <summary>A message goes by the type that it has, whatever it is passed as, and reaches the handler of that type.</summary>
public abstract class MessageTypeSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();

    internal interface IEvent
    {
        string Id { get; }
    }

    [Fact]
    public async Task A_message_that_is_passed_as_a_type_above_its_own_reaches_the_handler_of_its_own_whole()
    {
        List<Placed> handled = [];
        await using var test = await database.CreateWorkerAsync(worker => Collect(worker, handled), _time);
        IEvent first = new Placed("1", 1999);
        Event second = new Placed("2", 5);
        object third = new Placed("3", 7);
        List<IEvent> more = [new Placed("4", 8), new Placed("5", 9)];

        await test.Store.EnqueueAsync(first);
        await test.Store.EnqueueAsync(second, new() { Priority = 1 });
        await test.Store.Atomic().Enqueue(third).CommitAsync();
        foreach (var message in more)
        {
            await test.Store.TransactAsync((transaction, _) =>
            {
                transaction.Writes.Enqueue(message);
                return Task.CompletedTask;
            });
        }

        await test.SettleAsync();

        Assert.Equal(
            [new("1", 1999), new("2", 5), new("3", 7), new("4", 8), new("5", 9)],
            handled.OrderBy(static m => m.Id, StringComparer.Ordinal));
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_message_that_a_handler_or_a_schedule_passes_as_an_interface_goes_by_its_own_type_too()
    {
        List<Placed> handled = [];
        await using var test = await database.CreateWorkerAsync(
            worker =>
            {
                Collect(worker, handled);
                worker.Handle<Job>(async (job, context, token) =>
                {
                    IEvent next = new Placed($"{job.Number}", 1);
                    await context.CompleteAsync(write => write.Enqueue(next), token);
                });
                worker.Schedule<IEvent>("every", KvSchedule.Every(TimeSpan.FromMinutes(1)), static _ => new Placed("tick", 2));
            },
            _time);
        await test.Store.EnqueueAsync(new Job(1));
        await test.SettleAsync();
        var schedules = test.Services.GetServices<Microsoft.Extensions.Hosting.IHostedService>().OfType<Kv.Schedules.Scheduler>().Single();
        await schedules.RunRoundAsync(CancellationToken.None);
        _time.Advance(TimeSpan.FromMinutes(1));
        await schedules.RunRoundAsync(CancellationToken.None);
        await test.SettleAsync();

        Assert.Equal([new("1", 1), new("tick", 2)], handled);
    }

    [Fact]
    public async Task A_message_of_a_family_that_keeps_its_types_goes_by_the_family_unless_it_has_a_name_of_its_own()
    {
        List<Change> handled = [];
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Change>((change, _, _) =>
            {
                handled.Add(change);
                return Task.CompletedTask;
            }),
            _time);
        await test.Store.EnqueueAsync<Change>(new Renamed("a"));
        await test.SettleAsync();
        await test.Store.EnqueueAsync<Change>(new Removed(3));

        Assert.Equal([new Renamed("a")], handled);
        Assert.Equal("removed", Assert.Single(await test.QueuedAsync()).Topic);
    }

    [Fact]
    public async Task A_generic_message_reaches_the_handler_of_its_form()
    {
        ConcurrentQueue<string> handled = [];
        await using var test = await database.CreateWorkerAsync(
            worker => worker
                .Handle<Wrap<Job>>((wrap, _, _) => NoteAsync($"job {wrap.Body.Number}"))
                .Handle<Wrap<long>>((wrap, _, _) => NoteAsync($"long {wrap.Body}")),
            _time);
        await test.Store.EnqueueAsync<object>(new Wrap<Job>(new(1)));
        await test.Store.EnqueueAsync(new Wrap<long>(2));

        await test.SettleAsync();

        Assert.Equal(["job 1", "long 2"], handled.Order(StringComparer.Ordinal));

        Task NoteAsync(string text)
        {
            handled.Enqueue(text);
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task A_type_without_an_attribute_is_warned_of_once_where_it_is_enqueued_and_where_it_is_handled()
    {
        await using var test = await database.CreateWorkerAsync(
            static worker => worker
                .Handle<Plain>(static (_, _, _) => Task.CompletedTask)
                .Handle<Job>(static (_, _, _) => Task.CompletedTask),
            _time,
            logs: _logs);
        await test.Store.EnqueueAsync(new Plain());
        await test.Store.EnqueueAsync(new Plain());
        await test.Store.EnqueueAsync(new Job(1));
        await test.StartAsync();
        await test.Worker().HasBegun.WaitAsync(WorkerTesting.Patience);

        foreach (var id in (int[])[170, 270])
        {
            var warning = Assert.Single(_logs.Entries, entry => entry.Event == id);
            Assert.Equal(LogLevel.Warning, warning.Level);
            Assert.Contains("Kv.Tests.Specs.MessageTypeSpec+Plain", warning.Text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_handler_for_a_type_that_no_message_goes_by_is_refused()
    {
        var worker = new ServiceCollection().AddKvWorker();

        var ofInterface = Assert.Throws<ArgumentException>(() => worker.Handle<IEvent>(static (_, _, _) => Task.CompletedTask));
        Assert.Contains("an interface", ofInterface.Message, StringComparison.Ordinal);
        var ofAbstract = Assert.Throws<ArgumentException>(() => worker.Handle<Event>(static (_, _, _) => Task.CompletedTask));
        Assert.Contains("an abstract class", ofAbstract.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => worker.Handle<object>(static (_, _, _) => Task.CompletedTask));
        Assert.Throws<ArgumentException>(() => worker.Handle<int?>(static (_, _, _) => Task.CompletedTask));
        Assert.Throws<ArgumentException>(() => worker.Topic<IEvent>(static _ => { }));
    }

    [Fact]
    public void Two_types_of_one_name_cannot_be_handled_by_one_worker()
    {
        var worker = new ServiceCollection().AddKvWorker().Handle<Job>(static (_, _, _) => Task.CompletedTask);

        var error = Assert.Throws<InvalidOperationException>(
            () => worker.Handle<OtherJob>(static (_, _, _) => Task.CompletedTask, "elsewhere"));

        Assert.Contains(typeof(Job).FullName!, error.Message, StringComparison.Ordinal);
        Assert.Contains(typeof(OtherJob).FullName!, error.Message, StringComparison.Ordinal);
    }

    private static void Collect(KvWorkerBuilder worker, List<Placed> handled) => worker.Handle<Placed>((placed, _, _) =>
    {
        // Several are handled at once.
        lock (handled)
        {
            handled.Add(placed);
        }

        return Task.CompletedTask;
    });

    internal abstract record Event(string Id) : IEvent;

    [KvMessage("placed")]
    internal sealed record Placed(string Id, int Cents) : Event(Id);

    [KvMessage("change")]
    [JsonDerivedType(typeof(Renamed), "renamed")]
    [JsonDerivedType(typeof(Removed), "removed")]
    internal abstract record Change;

    internal sealed record Renamed(string Name) : Change;

    [KvMessage("removed")]
    internal sealed record Removed(int Number) : Change;

    internal sealed record Plain;

    [KvMessage("wrap")]
    internal sealed record Wrap<T>(T Body);

    [KvMessage("job")]
    internal sealed record OtherJob;
}

public sealed class SqliteMessageTypeTests(SqliteDatabase database) : MessageTypeSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresMessageTypeTests(PostgresDatabase database) : MessageTypeSpec(database), IClassFixture<PostgresDatabase>;
