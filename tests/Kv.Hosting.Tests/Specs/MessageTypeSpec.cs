using System.Numerics;
using System.Text;
using System.Text.Json.Serialization;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.Specs;

/// <summary>What a message is called and stored as: by the type that it has, whatever it is passed as.</summary>
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

        Assert.Equal([new("1", 1999), new("2", 5), new("3", 7), new("4", 8), new("5", 9)], handled.OrderBy(static m => m.Id, StringComparer.Ordinal));
        await test.AssertEmptyAsync();
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
    public async Task A_serializer_of_ones_own_is_asked_for_the_type_that_a_message_has()
    {
        List<string> asked = [];
        await using var test = await database.CreateStoreAsync(_time, services: services => services.AddSingleton<IKvValueSerializer>(new Noting(asked)));

        await test.Store.EnqueueAsync<IEvent>(new Placed("1", 1));
        await test.Store.EnqueueAsync<object>(new Number(3));

        Assert.Equal([nameof(Placed), nameof(Number)], asked);
    }

    [Fact]
    public async Task A_name_has_no_version_in_it_and_differs_between_the_forms_of_a_generic_type()
    {
        const string Spec = "Kv.Tests.Specs.MessageTypeSpec";
        await using var test = await database.CreateStoreAsync(_time);

        await NamedAsync($"{Spec}+Envelope<{Spec}+Plain>", new Envelope<Plain>(new()));
        await NamedAsync($"{Spec}+Envelope<System.Int32>", new Envelope<int>(1));
        await NamedAsync($"{Spec}+Envelope<System.Collections.Generic.Dictionary<System.String,job>>", new Envelope<Dictionary<string, Job>>([]));
        await NamedAsync($"{Spec}+Outer<System.Int32>+Inner<System.String>", new Outer<int>.Inner<string>());
        await NamedAsync($"{Spec}+Outer<System.Int32>+Simple", new Outer<int>.Simple());
        await NamedAsync($"{Spec}+Plain[]", new Plain[] { new() });
        await NamedAsync("wrap<job>", new Wrap<Job>(new(1)));
        await NamedAsync("wrap<System.Int64>", new Wrap<long>(1));
        await NamedAsync("System.String", "text");
        await NamedAsync("System.Int32", (int?)5);

        async Task NamedAsync<T>(string name, T message)
        {
            await test.Store.EnqueueAsync(message);
            var row = Assert.Single(await test.QueuedAsync());
            Assert.Equal((name, name), (row.Topic, row.Type));
            Assert.Equal(KvCancelResult.Removed, await test.Queue().CancelAsync(row.Id));
        }
    }

    [Fact]
    public async Task A_generic_message_reaches_the_handler_of_its_form()
    {
        List<string> handled = [];
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
            handled.Add(text);
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task A_message_that_no_handler_could_be_registered_for_is_refused_before_anything_is_written()
    {
        await using var test = await database.CreateStoreAsync(_time);

        await RefusedAsync("System.Object", new object());
        await RefusedAsync("Make it a class or record", new { A = 1 });
        await RefusedAsync("1 to 200 are allowed", new Envelope<Envelope<Envelope<Envelope<Envelope<Envelope<int>>>>>>(null!));
        await RefusedAsync("1 to 200 are allowed", new Envelope<Envelope<Envelope<Envelope<Envelope<Envelope<int>>>>>>(null!), new() { Topic = "short" });
        await test.AssertEmptyAsync();

        async Task RefusedAsync<T>(string says, T message, KvEnqueueOptions? options = null)
        {
            var error = await Assert.ThrowsAsync<ArgumentException>(() => test.Store.EnqueueAsync(message, options).AsTask());
            Assert.Contains(says, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_message_or_value_that_would_be_stored_in_part_is_refused_with_its_name_or_key_and_nothing_is_written()
    {
        await using var test = await database.CreateStoreAsync(_time);
        var hidden = new Hidden(3);

        await RefusedAsync("The value of [\"a\", 1] cannot be stored", () => test.Store.SetAsync(["a", 1L], hidden).AsTask());
        await RefusedAsync("The value of [\"a\"] cannot be stored", () => test.Store.Atomic().Set(["b"], 1).SetVersionstamped(["a"], "\uD800").CommitAsync().AsTask());
        await RefusedAsync("The value of [\"a\"] cannot be stored", () => test.Store.SetAsync<Event>(["a"], new Broken("x")).AsTask());
        await RefusedAsync("The message 'hidden' cannot be stored", () => test.Store.Atomic().Set(["b"], 1).Enqueue(hidden).CommitAsync().AsTask());
        await RefusedAsync("The message 'hidden' cannot be stored", () => test.Store.EnqueueAsync<object>(hidden).AsTask());

        await test.AssertEmptyAsync();
        Assert.Equal(0, await test.Store.CountAsync(KvRange.Prefix(KvKey.Empty)));

        static async Task RefusedAsync(string says, Func<Task> write)
        {
            var error = await Assert.ThrowsAsync<KvException>(write);
            Assert.Equal(KvErrorKind.Encoding, error.Kind);
            Assert.Contains(says, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Values_that_JSON_has_no_form_for_come_back_whole()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.SetAsync(["pair"], (3, "x"));
        await test.Store.SetAsync(["big"], BigInteger.Pow(10, 40));
        await test.Store.SetAsync(["nan"], double.NaN);
        await test.Store.SetAsync<IEvent>(["event"], new Placed("1", 2));

        Assert.Equal((3, "x"), await test.Store.GetAsync<(int, string)>(["pair"]));
        Assert.Equal(BigInteger.Pow(10, 40), await test.Store.GetAsync<BigInteger>(["big"]));
        Assert.Equal(double.NaN, await test.Store.GetAsync<double>(["nan"]));
        Assert.Equal(new Placed("1", 2), await test.Store.GetAsync<Placed>(["event"]));
        var error = await Assert.ThrowsAsync<KvException>(() => test.Store.GetAsync<IEvent>(["event"]).AsTask());
        Assert.Equal(KvErrorKind.Encoding, error.Kind);
        Assert.Contains("[\"event\"]", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_type_without_an_attribute_is_warned_of_once_where_it_is_enqueued_and_where_it_is_handled()
    {
        await using var test = await database.CreateWorkerAsync(
            static worker => worker.Handle<Plain>(static (_, _, _) => Task.CompletedTask).Handle<Job>(static (_, _, _) => Task.CompletedTask), _time, logs: _logs);
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

        Assert.Contains("an interface", Assert.Throws<ArgumentException>(() => worker.Handle<IEvent>(static (_, _, _) => Task.CompletedTask)).Message, StringComparison.Ordinal);
        Assert.Contains("an abstract class", Assert.Throws<ArgumentException>(() => worker.Handle<Event>(static (_, _, _) => Task.CompletedTask)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => worker.Handle<object>(static (_, _, _) => Task.CompletedTask));
        Assert.Throws<ArgumentException>(() => worker.Handle<int?>(static (_, _, _) => Task.CompletedTask));
        Assert.Throws<ArgumentException>(() => worker.Topic<IEvent>(static _ => { }));
    }

    [Fact]
    public void Two_types_of_one_name_cannot_be_handled_by_one_worker()
    {
        var worker = new ServiceCollection().AddKvWorker().Handle<Job>(static (_, _, _) => Task.CompletedTask);

        var error = Assert.Throws<InvalidOperationException>(() => worker.Handle<OtherJob>(static (_, _, _) => Task.CompletedTask, "elsewhere"));

        Assert.Contains(typeof(Job).FullName!, error.Message, StringComparison.Ordinal);
        Assert.Contains(typeof(OtherJob).FullName!, error.Message, StringComparison.Ordinal);
    }

    private static void Collect(KvWorkerBuilder worker, List<Placed> handled) => worker.Handle<Placed>((placed, _, _) =>
    {
        handled.Add(placed);
        return Task.CompletedTask;
    });

    internal abstract record Event(string Id) : IEvent;

    [KvMessage("placed")]
    internal sealed record Placed(string Id, int Cents) : Event(Id);

    internal sealed record Broken(string Id) : Event(Id)
    {
        public string Text => Id.Length > 0 ? throw new FormatException("No text.") : Id;
    }

    [KvMessage("change")]
    [JsonDerivedType(typeof(Renamed), "renamed")]
    [JsonDerivedType(typeof(Removed), "removed")]
    internal abstract record Change;

    internal sealed record Renamed(string Name) : Change;

    [KvMessage("removed")]
    internal sealed record Removed(int Number) : Change;

    internal sealed record Plain;

    internal sealed record Envelope<T>(T Body);

    [KvMessage("wrap")]
    internal sealed record Wrap<T>(T Body);

    [KvMessage("job")]
    internal sealed record OtherJob;

    [KvMessage("number")]
    internal readonly record struct Number(int Value);

    [KvMessage("hidden")]
    internal sealed class Hidden(int number)
    {
        public override string ToString() => $"{number}";
    }

    internal static class Outer<T>
    {
        internal sealed record Inner<TInner>;

        internal sealed record Simple;
    }

    private sealed class Noting(List<string> asked) : IKvValueSerializer
    {
        public KvValue Serialize<T>(T value)
        {
            asked.Add(typeof(T).Name);
            return KvValue.FromBytes(Encoding.UTF8.GetBytes($"{value}"));
        }

        public T? Deserialize<T>(KvValue value) => default;
    }
}

public sealed class SqliteMessageTypeTests(SqliteDatabase database) : MessageTypeSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresMessageTypeTests(PostgresDatabase database) : MessageTypeSpec(database), IClassFixture<PostgresDatabase>;
