using Kv.Databases;
using Kv.Driving;
using Kv.Hosts;
using Kv.Looking;
using Kv.Store;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Kv;

/// <summary>
/// A store, a queue and a worker in a test: on a database of their own, and on a clock that stands still until the test moves it.
/// </summary>
/// <remarks>
/// Nothing runs by itself: the test says when messages are taken (<see cref="DrainAsync"/>) and when time passes
/// (<see cref="AdvanceAsync"/>). Hosts share nothing, so tests can run in parallel. Calls of one host run one after the other.
/// </remarks>
public sealed class KvTestHost : IAsyncDisposable
{
    private readonly TestRig _rig;
    private readonly Driver _driver;
    private readonly IHost? _host;
    private readonly TestDatabase? _database;

    private KvTestHost(IServiceProvider services, IHost? host, TestDatabase? database)
    {
        (Services, _host, _database) = (services, host, database);
        _rig = services.GetService<TestRig>() ?? throw new KvTestException(
            "The services of this host are not in the hands of a test. Call services.AddKvTesting() behind the registrations of the "
            + "application: in ConfigureTestServices of a WebApplicationFactory.");
        var options = services.GetRequiredService<IOptionsMonitor<KvStoreOptions>>().CurrentValue;
        if (options.Clock == KvClockSource.Server)
        {
            throw new KvTestException(
                "KvStoreOptions.Clock is Server, and no test moves the clock of a server. Leave it at Automatic, by which the test's clock "
                + "decides: services.Configure<KvStoreOptions>(options => options.Clock = KvClockSource.Automatic).");
        }

        _driver = _rig.Drive(services);
    }

    /// <summary>The services of the host.</summary>
    public IServiceProvider Services { get; }

    /// <summary>The store.</summary>
    public IKvStore Store => Services.GetRequiredService<IKvStore>();

    /// <summary>The queue of the store.</summary>
    public IKvQueue Queue => Services.GetRequiredService<IKvQueue>();

    /// <summary>The schedules of the store.</summary>
    public IKvSchedules Schedules => Services.GetRequiredService<IKvSchedules>();

    /// <summary>The test's clock. All that gets a <see cref="TimeProvider"/> from the services gets this one.</summary>
    public TimeProvider Time => _rig.Clock;

    /// <summary>What time it is on the test's clock.</summary>
    public DateTimeOffset Now => _rig.Clock.GetUtcNow();

    /// <summary>When it runs what is due.</summary>
    /// <remarks>
    /// What <see cref="KvTestMode.Inline"/> has run is in the result of the next <see cref="DrainAsync"/> or <see cref="AdvanceAsync"/>. A
    /// commit of a transaction of the application's own sets nothing off: what it brings runs with the next commit of the store, or drain.
    /// </remarks>
    /// <value>Default: <see cref="KvTestMode.Manual"/>.</value>
    public KvTestMode Mode
    {
        get => _driver.Mode;
        set => _driver.SetMode(value);
    }

    /// <summary>Has the store and its worker fail as the test asks.</summary>
    public KvTestFaults Faults => _rig.Options.Faults;

    internal Steps Steps => _driver.Steps;

    private KvStore Inner => Services.GetRequiredService<KvStore>();

    private KvWorkerOptions WorkerOptions => Services.GetRequiredService<IOptionsMonitor<KvWorkerOptions>>().CurrentValue;

    /// <summary>Starts a host with a store and a worker.</summary>
    /// <remarks>On SQLite its commits do not wait for the disk (<see cref="KvDurability.Relaxed"/>), unless options say so.</remarks>
    /// <param name="app">
    /// Registers handlers, schedules and topics; further services and options by <see cref="KvWorkerBuilder.Services"/>.
    /// </param>
    /// <param name="database">Where its database comes from; null for <see cref="KvTestDatabase.Sqlite"/>.</param>
    /// <param name="options">Changes how the test drives it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The host. Disposing of it stops it and deletes its database.</returns>
    /// <exception cref="ArgumentException">An option cannot work.</exception>
    /// <exception cref="InvalidOperationException">A handler needs a service that is not registered.</exception>
    public static async Task<KvTestHost> StartAsync(
        Action<KvWorkerBuilder> app,
        KvTestDatabase? database = null,
        Action<KvTestOptions>? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(app);
        var own = (database ?? KvTestDatabase.Sqlite).Next();
        IHost? host = null;
        try
        {
            var builder = Host.CreateEmptyApplicationBuilder(null);
            builder.Services.AddSingleton<IHostLifetime, NoLifetime>();

            // The database goes with the test: what is committed need not outlive a power cut.
            builder.Services.AddKvStore(own.Configure, static options => options.Durability = KvDurability.Relaxed);
            app(builder.Services.AddKvWorker());
            builder.Services.AddKvTesting(options);
            host = builder.Build();
            var kv = new KvTestHost(host.Services, host, own);
            await kv.StartAsync(cancellationToken).ConfigureAwait(false);
            return kv;
        }
        catch
        {
            await EndAsync(host, own).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Drives the stores and workers of a host of the application's, such as that of a <c>WebApplicationFactory</c>.</summary>
    /// <remarks>
    /// The services were given to the test by <c>AddKvTesting</c>; the host is started and its database migrated by itself. Disposing of
    /// what is returned leaves them alone.
    /// </remarks>
    /// <param name="services">The services of the host.</param>
    /// <returns>What drives them.</returns>
    /// <exception cref="KvTestException">The services are not in the hands of a test.</exception>
    public static KvTestHost For(IServiceProvider services)
    {
        ArgumentNullException.ThrowIfNull(services);
        return new KvTestHost(services, host: null, database: null);
    }

    /// <summary>Runs what is due now and what that enqueues, until nothing is due.</summary>
    /// <remarks>
    /// Messages, ticks of schedules and expired entries. The clock stands still: retries and delays are not waited for. A handler that
    /// waits for the test's clock is left waiting, as <see cref="KvOutcome.Running"/>.
    /// </remarks>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What ran.</returns>
    /// <exception cref="KvTestException">
    /// A handler does not end within <see cref="KvTestOptions.Patience"/>, or messages are due without end
    /// (<see cref="KvTestOptions.MaxDeliveries"/>).
    /// </exception>
    public Task<KvDrained> DrainAsync(CancellationToken cancellationToken = default) => _driver.DrainAsync(cancellationToken);

    /// <summary>Moves the test's clock, from one moment at which something is due to the next, and runs at each what is due.</summary>
    /// <remarks>
    /// Due are messages, retries, ticks of schedules, leases that lapse, entries that expire, and timers of the clock. What a handler
    /// enqueues on the way runs at its time as well.
    /// </remarks>
    /// <param name="by">How far.</param>
    /// <param name="cancellationToken">Gives up; the clock stays where it is then.</param>
    /// <returns>What ran.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The time is negative.</exception>
    /// <exception cref="KvTestException">As for <see cref="DrainAsync"/>.</exception>
    public Task<KvDrained> AdvanceAsync(TimeSpan by, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.Zero);
        return _driver.AdvanceAsync(by, cancellationToken);
    }

    /// <summary>Has the worker handle one message, and nothing else: neither what waits, nor what the handler enqueues.</summary>
    /// <remarks>
    /// The message goes through the real worker: middleware, handler, retry policy, dead letters. What becomes of it stays in the store.
    /// Pauses of its topic, delays and messages that come before it do not hold it up; rates do.
    /// </remarks>
    /// <typeparam name="T">The type of the message.</typeparam>
    /// <param name="message">The message.</param>
    /// <param name="attempt">Which attempt it is, from 1: the waits of the attempts before it are used up.</param>
    /// <param name="options">How it is enqueued.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What became of it.</returns>
    /// <exception cref="KvTestException">The worker has no handler for its topic; or as for <see cref="DrainAsync"/>.</exception>
    public Task<KvDelivery<T>> RunAsync<T>(
        T message, int attempt = 1, KvEnqueueOptions? options = null, CancellationToken cancellationToken = default) =>
        RunAsync(message, attempt, (KvValue?)null, options, cancellationToken);

    /// <summary>Has the worker handle one message that an earlier attempt left a checkpoint for.</summary>
    /// <inheritdoc cref="RunAsync{T}(T, int, KvEnqueueOptions?, CancellationToken)" path="/remarks|/returns|/exception" />
    /// <typeparam name="T">The type of the message.</typeparam>
    /// <typeparam name="TCheckpoint">The type of the checkpoint.</typeparam>
    /// <param name="message">The message.</param>
    /// <param name="attempt">Which attempt it is, from 1.</param>
    /// <param name="checkpoint">What <see cref="KvMessageContext.GetCheckpoint{T}"/> gives to the handler.</param>
    /// <param name="options">How it is enqueued.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<KvDelivery<T>> RunAsync<T, TCheckpoint>(
        T message, int attempt, TCheckpoint checkpoint, KvEnqueueOptions? options = null, CancellationToken cancellationToken = default)
    {
        var rounds = _driver.Of(Inner);
        var taker = new MessageTaker(rounds, WorkerOptions);
        return new KvDelivery<T>(await _driver.RunAsync(
            rounds,
            () => taker.TakeAsync(message, attempt, Stored(checkpoint), options, isHandled: true, cancellationToken),
            cancellationToken).ConfigureAwait(false));
    }

    /// <summary>
    /// Gives a message to the test instead of a handler: with the <see cref="KvMessageContext"/> for a handler that the test calls itself.
    /// </summary>
    /// <typeparam name="T">The type of the message.</typeparam>
    /// <param name="message">The message.</param>
    /// <param name="attempt">Which attempt it is, from 1.</param>
    /// <param name="options">How it is enqueued.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The message; <see cref="KvTestDelivery{T}.EndAsync"/> says what becomes of it.</returns>
    public Task<KvTestDelivery<T>> BeginAsync<T>(
        T message, int attempt = 1, KvEnqueueOptions? options = null, CancellationToken cancellationToken = default) =>
        BeginAsync(message, attempt, (KvValue?)null, options, cancellationToken);

    /// <summary>Gives a message to the test that an earlier attempt left a checkpoint for.</summary>
    /// <inheritdoc cref="BeginAsync{T}(T, int, KvEnqueueOptions?, CancellationToken)" path="/returns" />
    /// <typeparam name="T">The type of the message.</typeparam>
    /// <typeparam name="TCheckpoint">The type of the checkpoint.</typeparam>
    /// <param name="message">The message.</param>
    /// <param name="attempt">Which attempt it is, from 1.</param>
    /// <param name="checkpoint">What <see cref="KvMessageContext.GetCheckpoint{T}"/> gives.</param>
    /// <param name="options">How it is enqueued.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<KvTestDelivery<T>> BeginAsync<T, TCheckpoint>(
        T message, int attempt, TCheckpoint checkpoint, KvEnqueueOptions? options = null, CancellationToken cancellationToken = default) =>
        new MessageTaker(_driver.Of(Inner), WorkerOptions).BeginAsync(
            message, attempt, Stored(checkpoint), options, Services, Time, cancellationToken);

    /// <summary>
    /// Ends the workers of the host as the end of their process would: nothing is released and nothing acknowledged. What they have taken
    /// comes again when its leases have lapsed and there is a worker.
    /// </summary>
    /// <remarks>
    /// A handler of theirs that waits does so for ever. One may call it itself: then it does not return, and nothing behind it runs.
    /// Schedules rest too, until <see cref="StartWorkerAsync"/>; the store goes on.
    /// </remarks>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Done when they have ended.</returns>
    public Task KillWorkerAsync(CancellationToken cancellationToken = default) => _driver.KillAsync(cancellationToken);

    /// <summary>Starts workers in the place of those that <see cref="KillWorkerAsync"/> has ended; does nothing if none has.</summary>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Done when they have started. They take messages when the test says so.</returns>
    public Task StartWorkerAsync(CancellationToken cancellationToken = default) => _driver.RestartAsync(cancellationToken);

    /// <summary>Fails if no message of a type waits in the queue that fits.</summary>
    /// <typeparam name="T">The type that it was enqueued as.</typeparam>
    /// <param name="predicate">What must hold of the message; null for anything.</param>
    /// <param name="due">When it must be due, to the millisecond; null for any time.</param>
    /// <returns>The first that fits, by due time.</returns>
    /// <exception cref="KvTestException">There is none: the message lists what waits.</exception>
    public KvEnqueued<T> AssertEnqueued<T>(Func<T, bool>? predicate = null, DateTimeOffset? due = null) =>
        new QueueAssertions(Inner).Enqueued(predicate, due);

    /// <summary>Fails if a message of a type waits in the queue.</summary>
    /// <typeparam name="T">The type that it was enqueued as.</typeparam>
    /// <param name="predicate">Which ones must not be there; null for all.</param>
    /// <exception cref="KvTestException">There is one: the message lists what waits.</exception>
    public void AssertNotEnqueued<T>(Func<T, bool>? predicate = null) => new QueueAssertions(Inner).NotEnqueued(predicate);

    /// <summary>Fails if any message waits in the queue or runs.</summary>
    /// <exception cref="KvTestException">There is one: the message lists what waits, and then what runs.</exception>
    public void AssertQueueEmpty() => new QueueAssertions(Inner).Empty();

    /// <summary>Fails if no message of a type is a dead letter.</summary>
    /// <typeparam name="T">The type that it was enqueued as.</typeparam>
    /// <param name="predicate">What must hold of the message; null for anything.</param>
    /// <returns>The first that fits.</returns>
    /// <exception cref="KvTestException">There is none: the message lists the dead letters.</exception>
    public KvDeadLetter AssertDeadLetter<T>(Func<T, bool>? predicate = null) => new QueueAssertions(Inner).DeadLetter(predicate);

    /// <summary>Fails if there is a dead letter. An entry of <see cref="KvEnqueueOptions.KeysIfUndelivered"/> is none.</summary>
    /// <exception cref="KvTestException">There is one: the message lists them.</exception>
    public void AssertNoDeadLetters() => new QueueAssertions(Inner).NoDeadLetters();

    /// <summary>Fails unless a range has exactly these entries, in the order of their keys.</summary>
    /// <typeparam name="T">The type of the values; <see cref="KvValue"/> for values as they are stored.</typeparam>
    /// <param name="range">The range.</param>
    /// <param name="expected">The entries.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Done when it was compared.</returns>
    /// <exception cref="KvTestException">It has others: the message says which, and lists what is there.</exception>
    public Task AssertRangeAsync<T>(
        KvRange range, IEnumerable<KeyValuePair<KvKey, T>> expected, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(range);
        ArgumentNullException.ThrowIfNull(expected);
        return RangeAssertion.CheckAsync(Inner, range, expected, cancellationToken);
    }

    /// <summary>What is in the store, as text for approval tests: entries, queue, running messages, dead letters.</summary>
    /// <remarks>The same for the same content: without ids, versions, and what the store keeps for itself.</remarks>
    /// <param name="range">Which entries; null for all.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The text, with a line feed behind each line.</returns>
    public Task<string> SnapshotAsync(KvRange? range = null, CancellationToken cancellationToken = default) =>
        StoreSnapshot.TakeAsync(Inner, range ?? KvRange.All, cancellationToken);

    /// <summary>Interrupts what runs, stops the host and deletes its database, unless they are the application's own.</summary>
    /// <returns>Done when that is done.</returns>
    public ValueTask DisposeAsync() => EndAsync(_host, _database);

    private static async ValueTask EndAsync(IHost? host, TestDatabase? database)
    {
        try
        {
            if (host is not null)
            {
                await host.StopAsync().ConfigureAwait(false);
                await ((IAsyncDisposable)host).DisposeAsync().ConfigureAwait(false);
            }
        }
        finally
        {
            if (database is not null)
            {
                await database.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    private KvValue? Stored<T>(T value) =>
        value is null ? null : value as KvValue ?? Inner.Serializer.Serialize(value);

    private async Task StartAsync(CancellationToken cancellationToken)
    {
        // Tables of other names than the usual ones are not in the template.
        var store = Services.GetRequiredService<IOptionsMonitor<KvStoreOptions>>().CurrentValue;
        var isUsual = store is { Schema: null, TablePrefix: null or "" };
        await _database!.CreateAsync(isUsual, cancellationToken).ConfigureAwait(false);
        if (!isUsual)
        {
            await Services.MigrateKvStoreAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        }

        await _host!.StartAsync(cancellationToken).ConfigureAwait(false);

        // Schedules begin when a host with them starts; where openings are to fail, those of the test's own calls, with the first drain.
        if (!Faults.IsSet(KvFault.Open))
        {
            await _driver.BeginAsync(cancellationToken).ConfigureAwait(false);
        }
    }
}
