using Kv.TestKit;

namespace Kv.Tests.Specs;

// The specifications that look at most of the statements, for tables of other names.

public sealed class PrefixedAtomicTests(PrefixedSqliteDatabase database) : AtomicSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaAtomicTests(SchemaPostgresDatabase database) : AtomicSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedMutationTests(PrefixedSqliteDatabase database) : MutationSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaMutationTests(SchemaPostgresDatabase database) : MutationSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedListTests(PrefixedSqliteDatabase database) : ListSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaListTests(SchemaPostgresDatabase database) : ListSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedWatchTests(PrefixedSqliteDatabase database) : WatchSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaWatchTests(SchemaPostgresDatabase database) : WatchSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedEnqueueTests(PrefixedSqliteDatabase database) : EnqueueSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaEnqueueTests(SchemaPostgresDatabase database) : EnqueueSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedGroupTests(PrefixedSqliteDatabase database) : GroupSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaGroupTests(SchemaPostgresDatabase database) : GroupSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedUniqueTests(PrefixedSqliteDatabase database) : UniqueSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaUniqueTests(SchemaPostgresDatabase database) : UniqueSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedPriorityTests(PrefixedSqliteDatabase database) : PrioritySpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaPriorityTests(SchemaPostgresDatabase database) : PrioritySpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedDeadLetterTests(PrefixedSqliteDatabase database)
    : DeadLetterSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaDeadLetterTests(SchemaPostgresDatabase database)
    : DeadLetterSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedUnitOfWorkTests(PrefixedSqliteDatabase database)
    : UnitOfWorkSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaUnitOfWorkTests(SchemaPostgresDatabase database)
    : UnitOfWorkSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedResultTests(PrefixedSqliteDatabase database) : ResultSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaResultTests(SchemaPostgresDatabase database) : ResultSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedTransactTests(PrefixedSqliteDatabase database) : TransactSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaTransactTests(SchemaPostgresDatabase database) : TransactSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedConcurrencyTests(PrefixedSqliteDatabase database)
    : ConcurrencySpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaConcurrencyTests(SchemaPostgresDatabase database)
    : ConcurrencySpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedCommitFaultTests(PrefixedSqliteDatabase database)
    : CommitFaultSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaCommitFaultTests(SchemaPostgresDatabase database)
    : CommitFaultSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedChangesTests(PrefixedSqliteDatabase database) : ChangesSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaChangesTests(SchemaPostgresDatabase database) : ChangesSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedRangeWatchTests(PrefixedSqliteDatabase database)
    : RangeWatchSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaRangeWatchTests(SchemaPostgresDatabase database)
    : RangeWatchSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedFeedSwitchTests(PrefixedSqliteDatabase database)
    : FeedSwitchSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaFeedSwitchTests(SchemaPostgresDatabase database)
    : FeedSwitchSpec(database), IClassFixture<SchemaPostgresDatabase>;
