using System.Reflection;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;
using Microsoft.EntityFrameworkCore.Migrations.Internal;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.TestKit;

/// <summary>A store as the next version may be: it has one migration more, beside which this version goes on.</summary>
public static class NewerVersion
{
    public const string Migration = "29990101000000_Tags_Beside_Scope";

    /// <summary>Has a store know the next migration.</summary>
    public static void Use(IServiceCollection services) =>
        services.ConfigureDbContext<KvDbContext>(static db => db.ReplaceService<IMigrationsAssembly, NewerMigrations>());
}

/// <summary>What a next migration may do, so that this version goes on: columns with defaults or nullable ones, and indexes.</summary>
[Migration(NewerVersion.Migration)]
public sealed class Tags_Beside_Scope : Migration
{
    private static readonly string[] Tables = ["kv", "data_version", "queue", "queue_running"];

    protected override void Up(MigrationBuilder migrationBuilder)
    {
        foreach (var table in Tables)
        {
            migrationBuilder.AddColumn<long>("weight", table, nullable: false, defaultValue: 7L);
            migrationBuilder.AddColumn<string>("tag", table, nullable: true);
            migrationBuilder.CreateIndex($"{table}_tag_idx", table, "tag");
        }
    }
}

#pragma warning disable EF1001 // The class that finds the migrations has no public way to another one.
internal sealed class NewerMigrations(
    ICurrentDbContext context,
    IDbContextOptions options,
    IMigrationsIdGenerator ids,
    IDiagnosticsLogger<DbLoggerCategory.Migrations> logger) : MigrationsAssembly(context, options, ids, logger)
{
    public override IReadOnlyDictionary<string, TypeInfo> Migrations { get; } =
        new SortedList<string, TypeInfo>(
            new MigrationsAssembly(context, options, ids, logger).Migrations.ToDictionary(StringComparer.Ordinal), StringComparer.Ordinal)
        {
            [NewerVersion.Migration] = typeof(Tags_Beside_Scope).GetTypeInfo(),
        };
}
#pragma warning restore EF1001
