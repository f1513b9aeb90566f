using Kv.Changes;
using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Feed;
using Kv.Merges;
using Kv.Messages;
using Kv.Queue;
using Kv.Reads;
using Kv.Schema;
using Microsoft.Extensions.Logging;

namespace Kv.Engine;

/// <summary>A store's parts and their life: made on the first use, which also makes sure that the schema is as it must be.</summary>
internal sealed class KvEngine : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Opening _opening;
    private KvStoreOptions? _denoLimits;
    private readonly SessionPool _pool;
    private readonly SessionFactory _sessions;
    private readonly CommitSignals _signals;
    private readonly CommitPipeline _claims;
    private readonly ReplicaIdentity? _replicaIdentity;
    private readonly List<CommitRunner> _runners = [];
    private readonly IDisposable _measured;
    private readonly BackgroundWork _background;
    private volatile string? _loss;
    private volatile bool _open;
    private volatile bool _disposed;

    /// <param name="name">The name that the store was added under; empty for the one without a name.</param>
    /// <param name="contexts">Makes contexts on its database.</param>
    /// <param name="provider">Makes what differs between the databases.</param>
    /// <param name="options">The store's options.</param>
    /// <param name="time">The machine's clock.</param>
    /// <param name="logger">Where to say what no caller hears of.</param>
    /// <param name="connectionString">The connection string of its database; null if a data source or a connection is configured.</param>
    /// <param name="failPoints">Where tests stop it.</param>
    /// <param name="replica">Makes contexts on the replica of its database; null if it has none.</param>
    public KvEngine(
        string name,
        Func<KvDbContext> contexts,
        KvProvider provider,
        KvStoreOptions options,
        TimeProvider time,
        ILogger logger,
        string? connectionString,
        FailPoints? failPoints = null,
        Func<KvDbContext>? replica = null)
    {
        (ConnectionString, FailPoints) = (connectionString, failPoints ??= new FailPoints());
        Logger = logger = new UnfailingLogger(logger);
        (Options, Provider, Ending) = (options, provider, _stop.Token);
        Ids = new MessageId(failPoints.Random);
        Clock = new StoreClock(time, provider.ServerTime, options.Clock);
        Driver = provider.CreateDriver(options.Tables, Clock.ServerDecides);
        Traced = new TracedStore(Driver.Name, name);
        Metrics = new StoreMetrics(Traced);
        _measured = KvMeter.Add(Metrics);
        (Unnamed, Merges) = (new UnnamedMessages(logger), new MergeTable(options, time, logger));
        Health = new StoreHealth(time);
        _signals = new CommitSignals(time);
        _sessions = new SessionFactory(contexts, Driver, SchemaCheck.OpenCurrentAsync, options, logger, failPoints);
        Locks = provider.CreateLocks(Driver, logger);
        _pool = new SessionPool(_sessions, Driver.Readers, options.CommandTimeout, Locks, returned: () => _background!.Answered());
        Metrics.Pool = _pool.Count;
        _opening = new Opening(OpenOnceAsync, Driver, options.CommandTimeout, Ending);
        var reads = new ReadRunner(_pool, Driver, options, Health, Metrics, logger);
        Identity = new StoreIdentity(reads, Driver);
        _sessions.Opened = Identity.OpenedAsync;
        Reader = EventualReader = provider.CreateReader(Driver, reads, Clock, Metrics);
        if (replica is not null)
        {
            var driver = provider.CreateReplicaDriver(options.Tables, options.ReplicaConnectionString!);
            var sessions = new SessionFactory(replica, driver, SchemaCheck.OpenCurrentAsync, options, logger);
            _replicaIdentity = new ReplicaIdentity(reads, Driver);
            Replica = new Replica(sessions, driver, _replicaIdentity, options, logger, Ending);
            EventualReader = provider.CreateReader(
                driver, new ReadRunner(_pool, Driver, options, Health, Metrics, logger) { Replica = Replica }, Clock.Elsewhere(), Metrics);
        }

        var changes = provider.CreateChanges(Driver, options);
        Notifier = new ChangeNotifier(_pool, changes, logger);
        _signals.ForOthers += Notifier.Tell;
        _signals.Seen.WentBack += OnWentBack;
        Listener = new ChangeListener(_sessions, Reader, Notifier, changes, _signals, Clock, options, logger, Ending);
        Runner = NewRunner();
        Pipeline = new CommitPipeline(Runner, options);
        JoinedMarks = new JoinedMarks(Clock);
        Joined = new JoinedCommits(_sessions, Driver, NewWriter, options, Notifier, _signals.Seen, AnnounceJoined);
        _claims = provider.CreateClaims(Pipeline, () => new CommitPipeline(NewRunner(), options));
        Queue = new MessageQueue(
            Driver.Sql,
            Pipeline,
            _claims,
            provider.CreateQueueReader(Driver, reads, Clock),
            new StrayFinder(reads, Pipeline, Driver, Clock),
            _sessions,
            session => provider.CreateLeaseKeeper(Driver, session, Clock, Locks),
            Clock,
            _signals,
            Listener, failPoints);
        Views = new QueueViews(Driver.Sql, reads);
        Feed = new StoreFeed(contexts, reads, Driver, Locks, Pipeline, Clock, options, logger);
        Sweeper = new(Reader, Pipeline, _signals, Clock, options, Metrics, logger, LookForLossAsync, Feed.Trimmer.TrimWhenDueAsync);
        Maintainer = new(contexts, provider.CreateMaintenance(options, Locks), Reader, Sweeper, Clock, options, logger);
        _background = new BackgroundWork(Sweeper, Maintainer, Clock);

        CommitRunner NewRunner()
        {
            var runner = new CommitRunner(_sessions, Driver, NewWriter, Clock, options, _signals, Notifier, Locks, Health, Metrics, logger);
            _runners.Add(runner);
            runner.Committed += ObserveCommit;
            runner.Lost += LoseAsync;
            return runner;
        }

        CommitWriter NewWriter(Session session)
        {
            var writer = provider.CreateWriter(Driver, session, Clock, options, failPoints);
            writer.Durability = options.Durability;
            return writer;
        }
    }

    public KvStoreOptions Options { get; }

    public KvProvider Provider { get; }

    /// <summary>The connection string of its database; null if a data source or a connection is configured.</summary>
    public string? ConnectionString { get; }

    public Driver Driver { get; }

    /// <summary>What its spans say of it.</summary>
    public TracedStore Traced { get; }

    /// <summary>What it measures.</summary>
    public StoreMetrics Metrics { get; }

    /// <summary>What it throws is its own.</summary>
    public ILogger Logger { get; }

    public StoreClock Clock { get; }

    public StoreIdentity Identity { get; }

    public StoreReader Reader { get; }

    /// <summary>For reads that may miss the last commits; the same where there is no replica.</summary>
    public StoreReader EventualReader { get; }

    /// <summary>The replica; null if there is none.</summary>
    public Replica? Replica { get; }

    public CommitRunner Runner { get; }

    public CommitPipeline Pipeline { get; }

    /// <summary>For writes in transactions of the user's.</summary>
    public JoinedCommits Joined { get; }

    /// <summary>For those of them whose outcome may be asked for.</summary>
    public JoinedMarks JoinedMarks { get; }

    public MessageQueue Queue { get; }

    public QueueViews Views { get; }

    public ExpirySweeper Sweeper { get; }

    public Maintainer Maintainer { get; }

    public StoreFeed Feed { get; }

    public ChangeNotifier Notifier { get; }

    public ChangeListener Listener { get; }

    /// <summary>What the sessions share of the database's locks; null where each has its own.</summary>
    public SharedLocks? Locks { get; }

    public CommitSignals Signals => _signals;

    /// <summary>What calls have met.</summary>
    public StoreHealth Health { get; }

    public MessageId Ids { get; }

    public UnnamedMessages Unnamed { get; }

    public MergeTable Merges { get; }

    /// <summary>Where tests stop it.</summary>
    public FailPoints FailPoints { get; }

    /// <summary>Whether the schema is known to be as it must be.</summary>
    public bool IsOpen => _open;

    /// <summary>How the store lost its file, if it did: by then something may have been written that is not found.</summary>
    public string? Loss => _loss;

    /// <summary>Cancelled when the store ends.</summary>
    public CancellationToken Ending { get; }

    /// <inheritdoc cref="SessionFactory.IsAdopted" />
    public bool IsAdopted => _sessions.IsAdopted;

    /// <summary>Whether what is written must be such that Deno reads it. Before the store is open the file is looked at.</summary>
    public bool WritesForDeno => IsOpen ? IsAdopted : _sessions.LooksAdopted();

    /// <summary>How much a write may have.</summary>
    public KvStoreOptions Limits => WritesForDeno ? _denoLimits ??= KvLimits.WithinDeno(Options) : Options;

    /// <summary>What reads as fresh as that.</summary>
    public StoreReader ReaderOf(KvConsistency consistency) => consistency == KvConsistency.Eventual ? EventualReader : Reader;

    public KvDbContext CreateContext() => _sessions.CreateContext();

    /// <summary>Makes sure of the schema before the first statement, and begins to sweep.</summary>
    /// <exception cref="KvException">
    /// The schema is behind or ahead (<see cref="KvErrorKind.Schema"/>), or the database was not to be had in time
    /// (<see cref="KvErrorKind.Unavailable"/>).
    /// </exception>
    public ValueTask OpenAsync(CancellationToken cancellationToken) =>
        IsOpen ? ValueTask.CompletedTask : new(_opening.WaitAsync(cancellationToken));

    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _measured.Dispose();

        // Both take effect before anything is awaited: what waits now fails, and does not slip in while the sweeper ends.
        var stopping = _stop.CancelAsync();
        var closing = Task.WhenAll(Pipeline.DisposeAsync().AsTask(), _claims.DisposeAsync().AsTask());
        await stopping.ConfigureAwait(false);

        // A caller that opens the store just now ends with an error, or begins what is ended here.
        await _opening.Completion.ConfigureAwait(false);
        _signals.End();
        await _background.Completion.ConfigureAwait(false);
        Maintainer.Dispose();
        await Listener.Completion.ConfigureAwait(false);
        await closing.ConfigureAwait(false);
        await Notifier.DisposeAsync().ConfigureAwait(false);
        if (Replica is not null)
        {
            await Replica.DisposeAsync().ConfigureAwait(false);
        }

        await _pool.DisposeAsync().ConfigureAwait(false);
        if (Locks is not null)
        {
            await Locks.DisposeAsync().ConfigureAwait(false);
        }

        await _sessions.DisposeAsync().ConfigureAwait(false);
        if (ConnectionString is not null)
        {
            Provider.Discard(ConnectionString);
        }

        _stop.Dispose();
    }

    private async Task OpenOnceAsync(CancellationToken cancellationToken)
    {
        // Two rounds may follow one another: the first may have come through while its callers left.
        if (_open)
        {
            return;
        }

        await _sessions.EnsureSchemaAsync(Clock, cancellationToken).ConfigureAwait(false);
        _pool.Narrow(_sessions.Readers);
        if (_replicaIdentity is not null)
        {
            await _replicaIdentity.LearnAsync(cancellationToken).ConfigureAwait(false);
        }

        if (!FailPoints.IsStepped)
        {
            _background.Begin(Ending);
        }

        _open = true;
        Listener.Opened();
    }

    /// <summary>Sees whether the store's file is still the one that its connections have open, where there is a file.</summary>
    public async ValueTask LookForLossAsync(CancellationToken cancellationToken)
    {
        if (IsOpen && await Provider.FindLossAsync(_pool, cancellationToken).ConfigureAwait(false) is { } loss)
        {
            await LoseAsync(loss).ConfigureAwait(false);
        }
    }

    private void ObserveCommit(CommitGroup group, CommitEffects effects)
    {
        Observe(group, effects);
        _background.Answered();
    }

    // What runs in a transaction of the user's gives back no connection, so the sweeper goes on waiting for one.
    private void AnnounceJoined(CommitGroup group, CommitAttempt attempt, SeenVersions.Era era)
    {
        Observe(group, attempt.Effects);
        _signals.Committed(attempt.Summarize(isDurable: false), era);
    }

    private void Observe(CommitGroup group, CommitEffects effects)
    {
        foreach (var (message, _) in effects.Messages)
        {
            Metrics.Sent(message.Topic);
        }

        _runners.ForEach(runner => runner.Observe(group, effects));
    }

    // The server that a connection leads to may be the former one, and the schema may have gone back as well. All that waits looks what is
    // there now: entries that had expired and messages that had ended are back.
    private void OnWentBack(VersionLoss loss)
    {
        KvLog.WentBack(Logger, Health.WentBack(loss.Known, loss.Found, loss.LacksOwn));
        _open = false;
        _pool.RenewAsync().AsTask().Abandon();
        _signals.Wake(ChangeKinds.All);
        _signals.Expiry.Set();
    }

    // No connection that leads to the lost file is used again, and the next call looks what is there by its name.
    private async ValueTask LoseAsync(string loss)
    {
        KvLog.FileLost(Logger, loss);
        _loss = loss;
        _open = false;
        Locks?.Renew();
        await _pool.RenewAsync().ConfigureAwait(false);
        await _sessions.DisposeAsync().ConfigureAwait(false);
    }
}
