using System.Text.RegularExpressions;
using Kv.Model;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Migrations.Operations;

namespace Kv.Sqlite;

/// <summary>
/// Writes the migrations of the store for tables and indexes whose names begin with something: their names are put into the text, which
/// has them in what EF Core writes and in what was written by hand.
/// </summary>
internal sealed partial class PrefixedMigrations(MigrationsSqlGeneratorDependencies dependencies, IRelationalAnnotationProvider annotations)
    : SqliteMigrationsSqlGenerator(dependencies, annotations)
{
    private readonly string _prefix =
        dependencies.CurrentContext.Context.GetService<IDbContextOptions>().FindExtension<NamedTables>()!.Prefix;

    public override IReadOnlyList<MigrationCommand> Generate(
        IReadOnlyList<MigrationOperation> operations,
        IModel? model = null,
        MigrationsSqlGenerationOptions options = MigrationsSqlGenerationOptions.Default) =>
        [.. base.Generate(operations, model, options).Select(Named)];

    private MigrationCommand Named(MigrationCommand command) => new(
        Dependencies.CommandBuilderFactory.Create().Append(Names().Replace(command.CommandText, _prefix + "$0")).Build(),
        Dependencies.CurrentContext.Context,
        Dependencies.Logger,
        command.TransactionSuppressed);

    // Indexes and triggers are named after their tables, and no column is named so.
    [GeneratedRegex(
        @"(?<!\w)(data_version|migration_state|queue_running|queue|kv_changes|kv_feed|kv)"
            + @"(?=(_\w+_idx|_insert|_update|_delete|_expire)?(?!\w))",
        RegexOptions.ExplicitCapture)]
    private static partial Regex Names();
}
