using Kv.Commits;
using Kv.Connections;
using Microsoft.Extensions.Logging;

namespace Kv.Feed;

/// <summary>The change feed of a store.</summary>
/// <param name="contexts">Makes contexts on its database.</param>
/// <param name="runner">Runs reads on its own database, never on a replica.</param>
/// <param name="driver">The database.</param>
/// <param name="locks">The write gate, where there is one.</param>
/// <param name="pipeline">Runs statements between the commits.</param>
/// <param name="clock">The store's clock.</param>
/// <param name="options">The store's options.</param>
/// <param name="logger">Where to say what failed.</param>
internal sealed class StoreFeed(
    Func<KvDbContext> contexts,
    ReadRunner runner,
    Driver driver,
    SharedLocks? locks,
    CommitPipeline pipeline,
    StoreClock clock,
    KvStoreOptions options,
    ILogger logger)
{
    /// <summary>Reads it.</summary>
    public FeedReader Reader { get; } = new(runner, driver, clock);

    /// <summary>Switches it.</summary>
    public FeedSwitch Switch { get; } = new(contexts, driver, locks, options);

    /// <summary>Deletes what is no longer kept.</summary>
    public FeedTrimmer Trimmer { get; } =
        new(new FeedReader(runner, driver, clock), pipeline, driver.Sql.Feed, clock, options, logger);
}
