using System.Numerics;
using System.Text;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>What a message is called, and what of it and of a value is stored: by the type that it has, and whole or not at all.</summary>
public abstract class StoredTypeSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();

    internal interface IEvent
    {
        string Id { get; }
    }

    [Fact]
    public async Task A_serializer_of_ones_own_is_asked_for_the_type_that_a_message_has()
    {
        List<string> asked = [];
        await using var test = await database.CreateStoreAsync(
            _time, services: services => services.AddSingleton<IKvValueSerializer>(new Noting(asked)));

        await test.Store.EnqueueAsync<IEvent>(new Placed("1", 1));
        await test.Store.EnqueueAsync<object>(new Number(3));

        Assert.Equal([nameof(Placed), nameof(Number)], asked);
    }

    [Fact]
    public async Task A_name_has_no_version_in_it_and_differs_between_the_forms_of_a_generic_type()
    {
        const string Spec = "Kv.Tests.Specs.StoredTypeSpec";
        await using var test = await database.CreateStoreAsync(_time);

        await NamedAsync($"{Spec}+Envelope<{Spec}+Plain>", new Envelope<Plain>(new()));
        await NamedAsync($"{Spec}+Envelope<System.Int32>", new Envelope<int>(1));
        await NamedAsync(
            $"{Spec}+Envelope<System.Collections.Generic.Dictionary<System.String,job>>", new Envelope<Dictionary<string, Job>>([]));
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
    public async Task A_message_that_no_handler_could_be_registered_for_is_refused_before_anything_is_written()
    {
        await using var test = await database.CreateStoreAsync(_time);

        await RefusedAsync("System.Object", new object());
        await RefusedAsync("Make it a class or record", new { A = 1 });
        await RefusedAsync("1 to 200 are allowed", new Envelope<Envelope<Envelope<Envelope<Envelope<Envelope<int>>>>>>(null!));
        await RefusedAsync(
            "1 to 200 are allowed", new Envelope<Envelope<Envelope<Envelope<Envelope<Envelope<int>>>>>>(null!), new() { Topic = "short" });
        test.AssertQueueEmpty();

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
        await RefusedAsync(
            "The value of [\"a\"] cannot be stored",
            () => test.Store.Atomic().Set(["b"], 1).SetVersionstamped(["a"], "\uD800").CommitAsync().AsTask());
        await RefusedAsync("The value of [\"a\"] cannot be stored", () => test.Store.SetAsync<Event>(["a"], new Broken("x")).AsTask());
        await RefusedAsync(
            "The message 'hidden' cannot be stored", () => test.Store.Atomic().Set(["b"], 1).Enqueue(hidden).CommitAsync().AsTask());
        await RefusedAsync("The message 'hidden' cannot be stored", () => test.Store.EnqueueAsync<object>(hidden).AsTask());

        test.AssertQueueEmpty();
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

    internal abstract record Event(string Id) : IEvent;

    [KvMessage("placed")]
    internal sealed record Placed(string Id, int Cents) : Event(Id);

    internal sealed record Broken(string Id) : Event(Id)
    {
        public string Text => Id.Length > 0 ? throw new FormatException("No text.") : Id;
    }

    internal sealed record Plain;

    internal sealed record Envelope<T>(T Body);

    [KvMessage("wrap")]
    internal sealed record Wrap<T>(T Body);

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

public sealed class SqliteStoredTypeTests(SqliteDatabase database) : StoredTypeSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresStoredTypeTests(PostgresDatabase database) : StoredTypeSpec(database), IClassFixture<PostgresDatabase>;
