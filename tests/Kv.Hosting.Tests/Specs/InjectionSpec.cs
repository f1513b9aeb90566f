using System.Collections.Concurrent;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.Specs;

/// <summary>Handlers get services, and what they lack is found at the start.</summary>
public abstract class InjectionSpec(KvDatabase database)
{
    [Fact]
    public async Task A_delegate_takes_message_context_token_and_services_in_any_order()
    {
        ConcurrentQueue<string> seen = [];
        await using var kv = await database.StartAsync(
            worker =>
            {
                worker.Services.AddScoped<Part>().AddKeyedSingleton("b", new Part { Name = "keyed" });
                worker.Handle<Job>(
                    (
                        CancellationToken token,
                        Part part,
                        Job job,
                        [FromKeyedServices("b")] Part keyed,
                        KvMessageContext context,
                        IKvStore store,
                        Absent? absent = null) =>
                    {
                        Assert.True(token.CanBeCanceled);
                        Assert.Same(context.Services.GetRequiredService<Part>(), part);
                        seen.Enqueue($"{job.Number} {context.Topic} {keyed.Name} {ReferenceEquals(store, context.Store)} {absent is null}");
                        return Task.CompletedTask;
                    });
                worker.Handle<Job>((Job job, Part part) => seen.Enqueue($"{job.Number} {part.Name} void"), "void");
                worker.Handle<Job>(
                    async ValueTask (Job job, KvMessageContext context) =>
                    {
                        await Task.Yield();
                        seen.Enqueue($"{job.Number} {context.Topic}");
                    },
                    "value");
            });
        await kv.Store.EnqueueAsync(new Job(1));
        await kv.Store.EnqueueAsync(new Job(2), new() { Topic = "void" });
        await kv.Store.EnqueueAsync(new Job(3), new() { Topic = "value" });

        await kv.DrainAsync();

        Assert.Equal(["1 job keyed True True", "2 part void", "3 value"], seen.Order(StringComparer.Ordinal));
        kv.AssertQueueEmpty();
    }

    [Fact]
    public async Task What_an_injected_handler_throws_is_the_error_of_its_attempt()
    {
        await using var kv = await database.StartAsync(
            static worker => worker.Handle<Job>(Task (Job _, IKvStore _) => throw new FormatException("No.")));
        await kv.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await kv.DrainAsync();

        Assert.Equal(typeof(FormatException).FullName, kv.AssertDeadLetter<Job>().LastError!.Type);
    }

    [Fact]
    public async Task A_message_type_has_a_handler_for_each_of_its_topics()
    {
        ConcurrentQueue<string> seen = [];
        await using var kv = await database.StartAsync(
            worker =>
            {
                worker.Services.AddSingleton(seen);
                worker.Handle<Job>((_, context, _) => Note(context))
                    .Handle<Job, Noting>("a")
                    .Handle<Job, Noting>("b")
                    .Handle<Job>((KvMessageContext context) => Note(context), "c");
            });
        foreach (var topic in (string?[])[null, "a", "b", "c"])
        {
            await kv.Store.EnqueueAsync(new Job(1), new() { Topic = topic });
        }

        await kv.DrainAsync();

        Assert.Equal(["a class", "b class", "c", "job"], seen.Order(StringComparer.Ordinal));

        Task Note(KvMessageContext context)
        {
            seen.Enqueue(context.Topic);
            return Task.CompletedTask;
        }
    }

    [Theory]
    [InlineData(
        "class",
        "The handler Kv.Tests.Specs.InjectionSpec+Needy of 'job' cannot run: the parameter 'absent' of the constructor of "
        + "Kv.Tests.Specs.InjectionSpec+Needy is a Kv.Tests.Specs.InjectionSpec+Absent")]
    [InlineData(
        "deep",
        "The handler Kv.Tests.Specs.InjectionSpec+Deep of 'job' cannot run: the parameter 'absent' of the constructor of "
        + "Kv.Tests.Specs.InjectionSpec+Needy")]
    [InlineData(
        "delegate",
        "The handler of 'job' on the topic 'job' cannot run: the parameter 'absent' of its delegate is a "
        + "Kv.Tests.Specs.InjectionSpec+Absent")]
    [InlineData("keyed", "is a Kv.Tests.Specs.InjectionSpec+Part with the key 'c'")]
    [InlineData("middleware", "The middleware Kv.Tests.Specs.InjectionSpec+Around cannot run")]
    public async Task A_service_that_is_not_registered_keeps_the_host_from_starting(string what, string says)
    {
        var connectionString = await database.CreateMigratedAsync();
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddKvStore(db => database.Configure(db, connectionString));
        var worker = builder.Services.AddKvWorker();
        _ = what switch
        {
            "class" => worker.Handle<Job, Needy>(),
            "deep" => worker.Handle<Job, Deep>(),
            "delegate" => worker.Handle<Job>(static (Job _, Absent absent) => Task.CompletedTask),
            "keyed" => worker.Handle<Job>(static (Job _, [FromKeyedServices("c")] Part part) => Task.CompletedTask),
            _ => worker.Handle<Job>(static (_, _, _) => Task.CompletedTask).Use<Around>(),
        };
        builder.Services.AddScoped<Needy>();
        using var host = builder.Build();

        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => host.StartAsync());

        Assert.Contains(says, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Handlers_whose_makers_know_more_are_believed()
    {
        await using var kv = await database.StartAsync(
            worker =>
            {
                worker.Services.AddScoped(static _ => new Needy(new Absent()));
                worker.Handle<Job, Needy>()
                    .Handle<Job, Either>("either")
                    .Handle<Job>(
                        static (Job _, ILogger<Job> _, IEnumerable<Absent> _, Absent? absent = null) => Task.CompletedTask, "delegate");
            });
    }

    [Fact]
    public void A_delegate_that_cannot_be_waited_for_or_called_is_refused()
    {
        var worker = new ServiceCollection().AddKvWorker();

        var number = Assert.Throws<ArgumentException>(() => worker.Handle<Job>(static (Job _) => 3));
        Assert.Contains("System.Int32", number.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => worker.Handle<Job>(static (ref Job _) => Task.CompletedTask));
#pragma warning disable MA0147 // It is what is refused.
        var nothing = Assert.Throws<ArgumentException>(() => worker.Handle<Job>(VoidAsync));
#pragma warning restore MA0147
        Assert.Contains("Task or ValueTask", nothing.Message, StringComparison.Ordinal);
        worker.Handle<Job>(static (Job _) => Task.CompletedTask);
        Assert.Throws<InvalidOperationException>(() => worker.Handle<Job>(static (Job _) => Task.CompletedTask));

        static async void VoidAsync(Job job) => await Task.Yield();
    }

    internal sealed class Absent;

    internal sealed class Part
    {
        public string Name { get; init; } = "part";
    }

    internal sealed class Needy(Absent absent) : IKvMessageHandler<Job>
    {
        public Task HandleAsync(Job message, KvMessageContext context, CancellationToken cancellationToken) => Task.FromResult(absent);
    }

    internal sealed class Deep(Needy needy) : IKvMessageHandler<Job>
    {
        public Task HandleAsync(Job message, KvMessageContext context, CancellationToken cancellationToken) =>
            needy.HandleAsync(message, context, cancellationToken);
    }

    internal sealed class Either : IKvMessageHandler<Job>
    {
        public Either(ILogger<Either> logger, Absent absent) => _ = (logger, absent);

        public Either(ILogger<Either> logger) => _ = logger;

        public Task HandleAsync(Job message, KvMessageContext context, CancellationToken cancellationToken) => Task.CompletedTask;
    }

    internal sealed class Around(Absent absent) : IKvMessageMiddleware
    {
        public Task InvokeAsync(KvMessageContext context, KvMessageDelegate next, CancellationToken cancellationToken) =>
            Task.FromResult(absent);
    }

    private sealed class Noting(ConcurrentQueue<string> seen) : IKvMessageHandler<Job>
    {
        public Task HandleAsync(Job message, KvMessageContext context, CancellationToken cancellationToken)
        {
            seen.Enqueue($"{context.Topic} class");
            return Task.CompletedTask;
        }
    }
}

public sealed class SqliteInjectionTests(SqliteDatabase database) : InjectionSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresInjectionTests(PostgresDatabase database) : InjectionSpec(database), IClassFixture<PostgresDatabase>;
