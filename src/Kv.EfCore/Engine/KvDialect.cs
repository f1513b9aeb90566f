using System.Data.Common;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.Extensions.Logging;

namespace Kv.Engine;

/// <summary>What differs between the databases. Each provider package has one, without any state.</summary>
internal abstract class KvDialect
{
    // By their names: the EF Core provider of the configured context decides which package is loaded.
    private static readonly Dictionary<string, Lazy<KvDialect>> Dialects = new(StringComparer.Ordinal)
    {
        ["Microsoft.EntityFrameworkCore.Sqlite"] = Of("Kv.EfCore.Sqlite", "Kv.Sqlite.SqliteDialect"),
        ["Npgsql.EntityFrameworkCore.PostgreSQL"] = Of("Kv.EfCore.PostgreSql", "Kv.PostgreSql.PostgreSqlDialect"),
    };

    /// <summary>What OpenTelemetry's conventions call the database.</summary>
    public abstract string Name { get; }

    /// <summary>The assembly that holds this database's migrations: the provider package itself.</summary>
    public string MigrationsAssembly => GetType().Assembly.GetName().Name!;

    /// <summary>The model of <see cref="KvDbContext"/> as EF Core would make it at every start, made ahead by <c>migrations/optimize.sh</c>.</summary>
    public abstract IModel Model { get; }

    /// <summary>The store's SQL for this database.</summary>
    public abstract KvSql Sql { get; }

    /// <summary>
    /// Whether the database has a clock that all its clients share. Then it decides (<see cref="StoreClock"/>); where every client runs on the
    /// database's own machine, the injected clock does.
    /// </summary>
    public abstract bool HasServerClock { get; }

    /// <summary>Whether the database is a round trip away, which several reads may share and the driver may have to be torn from.</summary>
    public abstract bool IsRemote { get; }

    /// <summary>Whether processes send one another notices; where they do not, each looks for itself.</summary>
    public abstract bool Notifies { get; }

    /// <summary>How many connections read at the same time.</summary>
    public abstract int Readers { get; }

    /// <summary>How long a command may take on a session, in seconds as ADO.NET counts; null for the connection's own setting.</summary>
    public virtual int? CommandTimeout(SessionRole role, KvStoreOptions options) => (int)Math.Ceiling(options.CommandTimeout.TotalSeconds);

    /// <summary>Refuses connections that the engine cannot work with, and sets up the others, before anything is opened.</summary>
    public abstract void CheckConnection(DbConnection connection);

    /// <summary>The connection string as it is to be kept: what it names relative to something that may change is named in full.</summary>
    public virtual string Settle(string connectionString) => connectionString;

    /// <summary>Has a connection fail, when it is opened, rather than make a database that was deleted.</summary>
    public virtual void RefuseToCreate(DbConnection connection)
    {
    }

    /// <summary>Where an open connection keeps what it writes; null where it cannot be lost without the connection.</summary>
    public virtual OpenPlace? PlaceOf(DbConnection connection) => null;

    /// <summary>Whether a database that EF Core says is not there is missing indeed.</summary>
    public virtual ValueTask<bool> IsMissingAsync(DbConnection connection, CancellationToken cancellationToken) => new(true);

    /// <summary>Prepares a connection that was just opened.</summary>
    public abstract ValueTask OpenedAsync(DbConnection connection, SessionRole role, KvStoreOptions options, ILogger logger, CancellationToken cancellationToken);

    /// <summary>Makes a statement of a session's connection.</summary>
    public virtual Statement CreateStatement(Session session, string text)
    {
        var command = session.Connection.CreateCommand();
        command.CommandText = text;
        command.Transaction = session.Transaction;
        if (session.CommandTimeout is { } timeout)
        {
            command.CommandTimeout = timeout;
        }

        CommandStatement.Declare(command.Parameters, text, command.CreateParameter);
        return new CommandStatement(command, session.Prepares);
    }

    /// <summary>Makes a connection fit for whoever opens it next, before it goes back to the driver's pool. It never throws.</summary>
    public virtual void Closing(DbConnection connection)
    {
    }

    /// <summary>Says what an error of the database means for the step that met it.</summary>
    public abstract Fault Classify(Exception exception);

    /// <summary>Whether the error proves that a commit that was sent did not happen.</summary>
    public abstract bool ProvesRollback(Exception exception);

    /// <summary>A new writer of groups over a session.</summary>
    public abstract GroupWriter CreateWriter(Session session, StoreClock clock, KvStoreOptions options, FailPoints failPoints);

    /// <summary>Begins to hear of the commits of other processes, over a session that is used for nothing else.</summary>
    public abstract ValueTask<ChangeFeed> OpenFeedAsync(Session session, KvStoreOptions options, CancellationToken cancellationToken);

    /// <summary>Looks for what slows the store down more and more although nothing fails.</summary>
    /// <param name="connection">An open connection.</param>
    /// <param name="longest">How long a transaction may be open.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What it is and what to do about it; null for nothing.</returns>
    public virtual ValueTask<string?> FindBurdenAsync(DbConnection connection, TimeSpan longest, CancellationToken cancellationToken) => new((string?)null);

    /// <summary>
    /// Statements that tell whether a column of the queue has a value of a class that is not the column's, and others that make it one that is.
    /// Where the database lets none in, there are none. The parameters are the topic, and the present.
    /// </summary>
    public virtual IReadOnlyList<(string Find, string Mend)> Mends => [];

    /// <summary>Whether another program made the tables that were taken over.</summary>
    public virtual ValueTask<bool> IsAdoptedAsync(DbConnection connection, CancellationToken cancellationToken) => new(false);

    /// <summary>Takes over tables that another program made, so that migrations continue from there.</summary>
    /// <returns>The names of the migrations that the tables already equal.</returns>
    public virtual ValueTask<IReadOnlyList<string>> AdoptAsync(DbConnection connection, CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<string>>([]);

    /// <summary>The dialect of the provider package for the EF Core provider of a context: one for all stores and transactions.</summary>
    /// <exception cref="NotSupportedException">The provider is not one that stores run on, or its package is not there.</exception>
    public static KvDialect For(string? provider) => provider is not null && Dialects.TryGetValue(provider, out var dialect)
        ? dialect.Value
        : throw new NotSupportedException(
            $"Kv stores run on SQLite and PostgreSQL; the context uses '{provider ?? "no provider"}'. Configure it with UseSqlite(...) or UseNpgsql(...).");

    private static Lazy<KvDialect> Of(string package, string type) => new(() =>
    {
        try
        {
            return (KvDialect)Activator.CreateInstance(Type.GetType($"{type}, {package}", throwOnError: true)!, nonPublic: true)!;
        }
        catch (Exception missing) when (missing is FileNotFoundException or TypeLoadException)
        {
            throw new NotSupportedException(
                $"The package {package}, which runs the store on the context's database, is not here, or is of another version than Kv.EfCore. Add it in the same version: dotnet add package {package}.", missing);
        }
    });
}

/// <summary>What a session is for.</summary>
internal enum SessionRole
{
    /// <summary>Reads only.</summary>
    Read,

    /// <summary>Runs the groups of the commit pipeline.</summary>
    Write,

    /// <summary>Keeps leases alive, apart from all other traffic.</summary>
    Heartbeat,

    /// <summary>Hears of the commits of other processes.</summary>
    Listen,
}

/// <summary>What an error means for the step that met it.</summary>
internal enum Fault
{
    /// <summary>The statement is at fault, and would fail again.</summary>
    Permanent,

    /// <summary>Others were in the way (a lock, a serialization failure): the same step may be run again on the same connection.</summary>
    Busy,

    /// <summary>The connection is gone or going: the step may be run again on another one.</summary>
    Broken,

    /// <summary>The database has no room: it may have some later.</summary>
    Full,
}
