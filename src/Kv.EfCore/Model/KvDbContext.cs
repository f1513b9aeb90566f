using Kv.Model;
using Microsoft.EntityFrameworkCore;

namespace Kv;

/// <summary>The store's own context: model, migrations, and LINQ over the tables.</summary>
/// <remarks>
/// Reading is plain EF Core. Writing goes through <see cref="IKvStore"/>: <c>SaveChanges</c> of changed entities would not take a version.
/// </remarks>
/// <param name="options">As <c>AddKvStore</c> configures them.</param>
public class KvDbContext(DbContextOptions<KvDbContext> options) : DbContext(options)
{
    /// <summary>The entries, expired ones that are not swept yet among them.</summary>
    public DbSet<StoredEntry> Entries => Set<StoredEntry>();

    /// <summary>The store's clock and the commit markers of its writers.</summary>
    public DbSet<DataVersion> Versions => Set<DataVersion>();

    /// <summary>The messages that wait.</summary>
    public DbSet<QueuedMessage> QueuedMessages => Set<QueuedMessage>();

    /// <summary>The messages that workers hold.</summary>
    public DbSet<RunningMessage> RunningMessages => Set<RunningMessage>();

    /// <summary>Keys that commits changed, while the change feed is on.</summary>
    public DbSet<StoredChange> Changes => Set<StoredChange>();

    /// <summary>The switch of the change feed, and what version the store had at which times.</summary>
    public DbSet<FeedMark> FeedMarks => Set<FeedMark>();

    /// <inheritdoc />
    protected override void OnModelCreating(ModelBuilder modelBuilder) =>
        modelBuilder.UseKv(options.FindExtension<NamedTables>()?.Prefix ?? "");
}
