using System.Data.Common;
using Kv.Changes;
using Kv.Commits;
using Kv.Diagnostics;
using Kv.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.Extensions.Logging;

namespace Kv.Connections;

/// <summary>What differs between the databases. Each provider package has one, without any state.</summary>
internal abstract class KvDialect
{
    // By their names: the EF Core provider of the configured context decides which package is loaded.
    private static readonly Dictionary<string, Lazy<KvDialect>> Dialects = new(StringComparer.Ordinal)
    {
        // The names stand where they are looked up, for the trimmer keeps what it can read there.
        ["Microsoft.EntityFrameworkCore.Sqlite"] = Of(
            "Kv.EfCore.Sqlite",
            static () => Activator.CreateInstance(Type.GetType("Kv.Sqlite.SqliteDialect, Kv.EfCore.Sqlite", throwOnError: true)!, nonPublic: true)),
        ["Npgsql.EntityFrameworkCore.PostgreSQL"] = Of(
            "Kv.EfCore.PostgreSql",
            static () => Activator.CreateInstance(Type.GetType("Kv.PostgreSql.PostgreSqlDialect, Kv.EfCore.PostgreSql", throwOnError: true)!, nonPublic: true)),
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

    /// <summary>Makes a command that gives up at a lock where the driver would otherwise block the thread: whoever wants it tries again.</summary>
    public virtual DbCommand CreateCommand(DbConnection connection) => connection.CreateCommand();

    /// <summary>What an error calls the database of a connection, open or not: with its server, or its path. Never a password.</summary>
    public abstract string Describe(DbConnection connection);

    /// <summary>What is missing where there is no database, and what to do about it.</summary>
    public abstract string DescribeMissing(DbConnection connection);

    /// <summary>Makes sure that a database which is missing can be created.</summary>
    /// <exception cref="KvException">It cannot (<see cref="KvErrorKind.Schema"/>).</exception>
    public virtual void EnsureCreatable(DbConnection connection)
    {
    }

    /// <summary>Where the tables of the application's own model are, if the connection does not find them there, and what to do about it.</summary>
    /// <returns>Null if they are nowhere, or the connection says where it wants its own.</returns>
    public virtual ValueTask<string?> FindElsewhereAsync(DbConnection connection, CancellationToken cancellationToken) => new((string?)null);

    /// <summary>Where a store's tables can go that do not fit beside the application's.</summary>
    public abstract string PlaceOfItsOwn { get; }

    /// <summary>Which tables a connection works on. It looks in a way that fails for no table that is missing.</summary>
    public abstract ValueTask<DatabaseIdentity> IdentifyAsync(DbConnection connection, DbTransaction? transaction, CancellationToken cancellationToken);

    /// <summary>What is there of a database that was identified before, where that can be told without a connection; otherwise null.</summary>
    public virtual DatabaseIdentity? IdentifyAgain(DatabaseIdentity known) => null;

    /// <summary>Names the session of the server that a connection has, which keeps what is prepared; null where that cannot be told.</summary>
    public virtual string? SessionName(DbConnection connection) => null;

    /// <summary>Whether an error is that of <see cref="KvSql.Guard"/>.</summary>
    public virtual bool IsGuard(Exception exception) => false;

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

    /// <summary>Has the driver's pool hand out none of the connections that it has now, once they are closed. It never throws.</summary>
    /// <param name="context">A context on the store's database.</param>
    public virtual void ClearPool(DbContext context)
    {
    }

    /// <summary>Says what an error of the database means for the step that met it.</summary>
    public abstract Fault Classify(Exception exception);

    /// <summary>Whether a connection that met the error is of no use from then on, though it may still be open.</summary>
    public virtual bool IsSpent(Exception exception) => Classify(exception) == Fault.Broken;

    /// <summary>Whether the error says that what is stored is damaged.</summary>
    public virtual bool IsDamage(Exception exception) => false;

    /// <summary>Whether the error is about the values of a statement, so that others are not to expect it.</summary>
    public abstract bool IsOfValues(Exception exception);

    /// <summary>What a caller can do about an error that is permanent.</summary>
    public virtual KvErrorKind KindOf(Exception exception) => KvErrorKind.Refused;

    /// <summary>Looks through what is stored.</summary>
    /// <param name="connection">An open connection.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What is damaged; null if nothing is.</returns>
    public virtual ValueTask<string?> FindDamageAsync(DbConnection connection, CancellationToken cancellationToken) => new((string?)null);

    /// <summary>Who has the lock that a session waits for, and since when; null if that is not to be found out.</summary>
    /// <param name="session">Where to ask.</param>
    /// <param name="backend">By which number the server knows the session that waits.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public virtual ValueTask<string?> FindHolderAsync(Session session, int backend, CancellationToken cancellationToken) => new((string?)null);

    /// <summary>Whether the error says that a lock was not to be had in time.</summary>
    public abstract bool IsLockWait(Exception exception);

    /// <summary>What to look for where a lock was not to be had and it is not known who has it.</summary>
    public abstract string LockAdvice { get; }

    /// <summary>Whether the error proves that a commit that was sent did not happen.</summary>
    /// <param name="exception">The error.</param>
    /// <param name="connection">The connection that met it.</param>
    public abstract bool ProvesRollback(Exception exception, DbConnection connection);

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

    private static Lazy<KvDialect> Of(string package, Func<object?> create) => new(() =>
    {
        try
        {
            return (KvDialect)create()!;
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
