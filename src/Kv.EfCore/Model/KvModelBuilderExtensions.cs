using Kv;
using Kv.Model;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Microsoft.EntityFrameworkCore;

/// <summary>Maps the store's tables.</summary>
public static class KvModelBuilderExtensions
{
    /// <summary>
    /// Maps <c>kv</c>, <c>data_version</c>, <c>queue</c>, <c>queue_running</c>, <c>kv_changes</c> and <c>kv_feed</c>, in the model's
    /// default schema.
    /// </summary>
    /// <remarks>
    /// Call it in <c>OnModelCreating</c> of your own context to have the tables in your own model and migrations. Then never call
    /// <c>MigrateKvStoreAsync</c> on that database, and add a migration when a new version brings columns. What the packages' migrations do
    /// by hand-written SQL (<c>WITHOUT ROWID</c> on SQLite, fill factor and autovacuum on PostgreSQL; see their <c>Initial</c>) yours do
    /// only if you add it. With <c>HasDefaultSchema</c>, add the store by <c>AddKvStore&lt;TContext&gt;()</c>, or set <see
    /// cref="KvStoreOptions.Schema"/> to the same. Names and meaning are those of Deno KV's SQLite file, so a column of ours that Deno does
    /// not know has a default.
    /// </remarks>
    /// <param name="modelBuilder">The builder of the model to add the tables to.</param>
    /// <returns>The same builder.</returns>
    public static ModelBuilder UseKv(this ModelBuilder modelBuilder) => UseKv(modelBuilder, "");

    /// <summary>Maps the store's tables under names that begin with something.</summary>
    /// <remarks>The store has the same: <see cref="KvStoreOptions.TablePrefix"/>, on SQLite. On PostgreSQL, use a default schema.</remarks>
    /// <inheritdoc cref="UseKv(ModelBuilder)" path="/param|/returns" />
    /// <param name="modelBuilder">The builder of the model to add the tables to.</param>
    /// <param name="tablePrefix">What the names of tables and indexes begin with.</param>
    public static ModelBuilder UseKv(this ModelBuilder modelBuilder, string tablePrefix)
    {
        ArgumentNullException.ThrowIfNull(modelBuilder);
        ArgumentNullException.ThrowIfNull(tablePrefix);

        modelBuilder.Entity<StoredEntry>(entry =>
        {
            entry.ToTable(tablePrefix + "kv");
            entry.HasKey(e => e.Key);
            entry.Property(e => e.Key).HasColumnName("k").ValueGeneratedNever();
            entry.Property(e => e.Value).HasColumnName("v");
            entry.Property(e => e.Encoding).HasColumnName("v_encoding");
            entry.Property(e => e.Version).HasColumnName("version");
            entry.Property(e => e.Sequence).HasColumnName("seq").HasDefaultValue(0L);
            entry.Property(e => e.ExpiresAt).HasColumnName("expiration_ms").HasDefaultValue(-1L);
            // Most entries never expire: a partial index costs them nothing.
            entry.HasIndex(e => e.ExpiresAt).HasDatabaseName(tablePrefix + "kv_expiration_ms_idx").HasFilter("expiration_ms >= 0");
        });

        modelBuilder.Entity<DataVersion>(version =>
        {
            version.ToTable(tablePrefix + "data_version");
            version.HasKey(v => v.Key);
            version.Property(v => v.Key).HasColumnName("k").ValueGeneratedNever();
            version.Property(v => v.Version).HasColumnName("version");
            version.Property(v => v.Sequence).HasColumnName("seq").HasDefaultValue(0L);
            // The clock starts at 0; every commit takes the next number.
            version.HasData(new { Key = 0L, Version = 0L, Sequence = 0L });
        });

        modelBuilder.Entity<StoredChange>(change =>
        {
            change.ToTable(tablePrefix + "kv_changes");
            // Follow: where (version, k) > … order by version, k.
            change.HasKey(c => new { c.Version, c.Key });
            change.Property(c => c.Version).HasColumnName("version");
            change.Property(c => c.Key).HasColumnName("k");
            change.Property(c => c.IsDeleted).HasColumnName("deleted").HasConversion<int>();
        });

        modelBuilder.Entity<FeedMark>(mark =>
        {
            mark.ToTable(tablePrefix + "kv_feed");
            mark.HasKey(m => m.At);
            mark.Property(m => m.At).HasColumnName("at").ValueGeneratedNever();
            mark.Property(m => m.Version).HasColumnName("version");
            mark.Property(m => m.KeepMilliseconds).HasColumnName("keep_ms");
            mark.Property(m => m.KeepVersions).HasColumnName("keep_versions");
        });

        modelBuilder.Entity<QueuedMessage>(message =>
        {
            message.ToTable(tablePrefix + "queue");
            message.HasKey(m => new { m.DueAt, m.Id });
            message.Property(m => m.DueAt).HasColumnName("ts");
            MapMessage(message);
            message.Property(m => m.State).HasColumnName("state").HasDefaultValue(MessageState.Ready);
            message.Property(m => m.Version).HasColumnName("version").HasDefaultValue(0L);
            // Claim: where topic = … and state = 0 and priority = … and ts <= … order by ts, id. What waits for its group is out of its
            // way.
            message.HasIndex(m => new { m.Topic, m.State, m.Priority, m.DueAt, m.Id }).HasDatabaseName(tablePrefix + "queue_topic_idx");
            message.HasIndex(m => m.Id).HasDatabaseName(tablePrefix + "queue_id_idx");
            // The next of a group: where topic = … and group_key = … and state = 1 order by version, id.
            message.HasIndex(m => new { m.Topic, m.GroupKey, m.State, m.Version, m.Id }).HasDatabaseName(tablePrefix + "queue_group_idx")
                .HasFilter("group_key is not null");
        });

        modelBuilder.Entity<RunningMessage>(message =>
        {
            message.ToTable(tablePrefix + "queue_running");
            message.HasKey(m => new { m.Deadline, m.Id });
            message.Property(m => m.Deadline).HasColumnName("deadline");
            message.Property(m => m.DueAt).HasColumnName("ts");
            MapMessage(message);
            message.Property(m => m.Owner).HasColumnName("owner").HasDefaultValue("");
            // Complete, fail, extend: where id = … Unique, since a message has at most one holder.
            message.HasIndex(m => m.Id).IsUnique().HasDatabaseName(tablePrefix + "queue_running_id_idx");
            message.HasIndex(m => new { m.Topic, m.GroupKey }).HasDatabaseName(tablePrefix + "queue_running_group_idx")
                .HasFilter("group_key is not null");
            message.Property(m => m.Progress).HasColumnName("progress");
            message.Property(m => m.Note).HasColumnName("note");
        });

        return modelBuilder;
    }

    private static void MapMessage<TRow>(EntityTypeBuilder<TRow> message)
        where TRow : MessageRow
    {
        message.Property(m => m.Id).HasColumnName("id");
        message.Property(m => m.Data).HasColumnName("data");
        message.Property(m => m.BackoffSchedule).HasColumnName("backoff_schedule");
        message.Property(m => m.KeysIfUndelivered).HasColumnName("keys_if_undelivered");
        message.Property(m => m.Topic).HasColumnName("topic").HasDefaultValue("");
        message.Property(m => m.Type).HasColumnName("type").HasDefaultValue("");
        // A message that does not say is Deno's, and Deno's are always V8 data.
        message.Property(m => m.Encoding).HasColumnName("encoding").HasDefaultValue(KvEncoding.V8).HasSentinel((KvEncoding)0);
        message.Property(m => m.Attempt).HasColumnName("attempt").HasDefaultValue(0);
        message.Property(m => m.Crashes).HasColumnName("crashes").HasDefaultValue(0);
        message.Property(m => m.Claim).HasColumnName("claim").HasDefaultValue(0L);
        message.Property(m => m.EnqueuedAt).HasColumnName("enqueued_at").HasDefaultValue(0L);
        message.Property(m => m.Trace).HasColumnName("trace");
        message.Property(m => m.Priority).HasColumnName("priority").HasDefaultValue(0);
        message.Property(m => m.GroupKey).HasColumnName("group_key");
        message.Property(m => m.GroupLimit).HasColumnName("group_limit").HasDefaultValue(0);
        message.Property(m => m.RateKey).HasColumnName("rate_key");
        message.Property(m => m.RateToken).HasColumnName("rate_turn").HasDefaultValue(0L);
        message.Property(m => m.UniqueKey).HasColumnName("unique_key");
        message.Property(m => m.UniqueUntil).HasColumnName("unique_until").HasDefaultValue(0L);
        // Numbers, not booleans: the two databases write those differently, and statements are the same for both.
        message.Property(m => m.TopicRetries).HasColumnName("topic_retries").HasConversion<int>().HasDefaultValue(false);
        message.Property(m => m.Scope).HasColumnName("scope");
        message.Property(m => m.FirstError).HasColumnName("first_error");
        message.Property(m => m.LastError).HasColumnName("last_error");
        message.Property(m => m.IsCancelled).HasColumnName("cancelled").HasConversion<int>().HasDefaultValue(false);
        message.Property(m => m.Checkpoint).HasColumnName("checkpoint");
        message.Property(m => m.CheckpointEncoding).HasColumnName("checkpoint_encoding").HasDefaultValue((KvEncoding)0);
    }
}
