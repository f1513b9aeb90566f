using Kv.TestKit;

namespace Kv.Tests.Specs;

// A worker over tables of other names.

public sealed class PrefixedWorkTests(PrefixedSqliteDatabase database) : WorkSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaWorkTests(SchemaPostgresDatabase database) : WorkSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedGroupTests(PrefixedSqliteDatabase database) : GroupSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaGroupTests(SchemaPostgresDatabase database) : GroupSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedLeaseTests(PrefixedSqliteDatabase database) : LeaseSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaLeaseTests(SchemaPostgresDatabase database) : LeaseSpec(database), IClassFixture<SchemaPostgresDatabase>;

public sealed class PrefixedStrayRowTests(PrefixedSqliteDatabase database) : StrayRowSpec(database), IClassFixture<PrefixedSqliteDatabase>;

public sealed class SchemaStrayRowTests(SchemaPostgresDatabase database) : StrayRowSpec(database), IClassFixture<SchemaPostgresDatabase>;
