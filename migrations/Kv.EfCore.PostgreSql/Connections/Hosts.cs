using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.Extensions.Options;
using Npgsql;
#pragma warning disable EF1001 // The only way to the data source that the application gave to EF Core.
using Npgsql.EntityFrameworkCore.PostgreSQL.Infrastructure.Internal;

namespace Kv.PostgreSql;

/// <summary>
/// Several servers of one database, of which one takes writes. The driver takes the first that answers unless it is told otherwise, which
/// may be a standby: writes would fail for as long as it is one, and reads miss the last commits.
/// </summary>
internal static class Hosts
{
    private const string Primary = "primary";
    private const string ProviderPackage = "Npgsql.EntityFrameworkCore.PostgreSQL";

    /// <summary>Whether a connection string names several servers.</summary>
    public static bool AreSeveral(NpgsqlConnectionStringBuilder settings) => settings.Host?.Contains(',', StringComparison.Ordinal) == true;

    /// <summary>Has contexts ask for the server that takes writes, where the application names several and does not say.</summary>
    /// <exception cref="NotSupportedException">It says something else, or cannot be told.</exception>
    public static void FindPrimary(DbContextOptionsBuilder builder)
    {
        var extension = builder.Options.FindExtension<NpgsqlOptionsExtension>();
        if (extension is null)
        {
            return;
        }

        var isBare = extension is { DataSource: null, ConnectionString: null, Connection: null };
        var source = isBare
            ? builder.Options.FindExtension<CoreOptionsExtension>()?.ApplicationServiceProvider?.GetService(typeof(NpgsqlDataSource))
            : extension.DataSource;
        if (source is NpgsqlMultiHostDataSource several)
        {
            Update(builder, extension.WithDataSource(several.WithTargetSession(TargetSessionAttributes.Primary)));
        }
        else if (source is null && (extension.ConnectionString ?? extension.Connection?.ConnectionString) is { } address
            && new NpgsqlConnectionStringBuilder(address) is var settings && AreSeveral(settings))
        {
            FindPrimary(builder, extension, settings);
        }
    }

    private static void FindPrimary(
        DbContextOptionsBuilder builder, NpgsqlOptionsExtension extension, NpgsqlConnectionStringBuilder settings)
    {
        if (settings.TargetSessionAttributes is Primary or "read-write")
        {
            return;
        }

        if (settings.TargetSessionAttributes is { } target)
        {
            throw new NotSupportedException(
                $"The store's connections have several hosts ({settings.Host}) and Target Session Attributes={target}, which may lead to a "
                + "standby: the store writes, and its reads see every commit. Say primary, or leave it out; a standby that is to serve "
                + "reads which may miss the last commits belongs into KvStoreOptions.ReplicaConnectionString.");
        }

        if (extension.Connection is not null || MakesDataSource(builder.Options, extension))
        {
            throw new NotSupportedException(
                $"The store's connections have several hosts ({settings.Host}), and by a connection, or a data source that EF Core makes "
                + "for itself (ConfigureDataSource, enums, plugins), it cannot be said which of them takes writes. Pass UseNpgsql a data "
                + "source: new NpgsqlDataSourceBuilder(...).BuildMultiHost().WithTargetSession(TargetSessionAttributes.Primary).");
        }

        settings.TargetSessionAttributes = Primary;
        Update(builder, extension.WithConnectionString(settings.ConnectionString));
    }

    /// <summary>The same options on another server.</summary>
    public static DbContextOptions<KvDbContext> Move(DbContextOptions<KvDbContext> options, string connectionString)
    {
        try
        {
            _ = new NpgsqlConnectionStringBuilder(connectionString);
        }
        catch (ArgumentException error)
        {
            throw new OptionsValidationException(
                Options.DefaultName,
                typeof(KvStoreOptions),
                [
                    $"KvStoreOptions.ReplicaConnectionString is no connection string of Npgsql: {error.Message} "
                    + "Correct it, or leave it out.",
                ]);
        }

        var builder = new DbContextOptionsBuilder<KvDbContext>(options);
        var extension = builder.Options.FindExtension<NpgsqlOptionsExtension>()!;
        var alone = extension.DataSource is null ? extension : extension.WithDataSource(null!);
        Update(builder, alone.WithConnectionString(connectionString));
        return builder.Options;
    }

    // A data source that EF Core's provider makes for itself refuses a connection string that says which server.
    private static bool MakesDataSource(DbContextOptions options, NpgsqlOptionsExtension extension) =>
        extension.DataSourceBuilderAction is not null
        || extension.EnumDefinitions.Count > 0
        || options.Extensions.Any(static e => e.GetType().Assembly.GetName().Name is { } name
            && name.StartsWith(ProviderPackage, StringComparison.Ordinal) && name != ProviderPackage);

    private static void Update<T>(DbContextOptionsBuilder builder, T extension)
        where T : RelationalOptionsExtension => ((IDbContextOptionsBuilderInfrastructure)builder).AddOrUpdateExtension(extension);
}
