using System.Data.Common;
using Kv.Sql;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace Kv.Connections;

/// <summary>What sessions need to know of a database and of the names of its tables. It has no state.</summary>
internal abstract class Driver
{
    /// <summary>What OpenTelemetry's conventions call the database.</summary>
    public abstract string Name { get; }

    /// <summary>The store's SQL for this database.</summary>
    public abstract KvSql Sql { get; }

    /// <summary>How many connections read at the same time.</summary>
    public abstract int Readers { get; }

    /// <summary>How many of them there may be beside all others that a store has, where the driver gives only so many.</summary>
    public virtual int ReadersOf(DbConnection connection) => Readers;

    /// <summary>How long a command may take on a session, in seconds as ADO.NET counts; null for the connection's own setting.</summary>
    public virtual int? CommandTimeout(SessionRole role, KvStoreOptions options) => (int)Math.Ceiling(options.CommandTimeout.TotalSeconds);

    /// <summary>Refuses connections that the engine cannot work with, and sets up the others, before anything is opened.</summary>
    public abstract void CheckConnection(DbConnection connection);

    /// <summary>Has a connection fail, when it is opened, rather than make a database that was deleted.</summary>
    public virtual void RefuseToCreate(DbConnection connection)
    {
    }

    /// <summary>Where an open connection keeps what it writes; null where it cannot be lost without the connection.</summary>
    public virtual OpenStorage? StorageOf(DbConnection connection) => null;

    /// <summary>Whether a database that EF Core says is not there is missing indeed.</summary>
    public virtual ValueTask<bool> IsMissingAsync(DbConnection connection, CancellationToken cancellationToken) => new(true);

    /// <summary>Prepares a connection that was just opened.</summary>
    public abstract ValueTask OpenedAsync(
        DbConnection connection, SessionRole role, KvStoreOptions options, ILogger logger, CancellationToken cancellationToken);

    /// <summary>
    /// Makes a command that gives up at a lock where the driver would otherwise block the thread: its caller tries again.
    /// </summary>
    public virtual DbCommand CreateCommand(DbConnection connection) => connection.CreateCommand();

    /// <summary>Whether a transaction on one connection keeps all writes of another one waiting, whatever it is about.</summary>
    public virtual bool LocksWhole(DbConnection holding, DbConnection waiting) => false;

    /// <summary>What an error calls the database of a connection, open or not: with its server, or its path. Never a password.</summary>
    public abstract string Describe(DbConnection connection);

    /// <summary>What is missing where there is no database, and what to do about it.</summary>
    public abstract string DescribeMissing(DbConnection connection);

    /// <summary>Makes sure that a database which is missing can be created.</summary>
    /// <exception cref="KvException">It cannot (<see cref="KvErrorKind.Schema"/>).</exception>
    public virtual void EnsureCreatable(DbConnection connection)
    {
    }

    /// <summary>
    /// Where the tables of the application's own model are, if the connection does not find them there, and what to do about it.
    /// </summary>
    /// <returns>Null if they are nowhere, or the connection says where it wants its own.</returns>
    public virtual ValueTask<string?> FindElsewhereAsync(DbConnection connection, CancellationToken cancellationToken) =>
        new((string?)null);

    /// <summary>Where a store's tables can go that do not fit beside the application's.</summary>
    public abstract string OwnLocation { get; }

    /// <summary>Which tables a connection works on. It looks in a way that fails for no table that is missing.</summary>
    public abstract ValueTask<DatabaseIdentity> IdentifyAsync(
        DbConnection connection, DbTransaction? transaction, CancellationToken cancellationToken);

    /// <summary>The same for a connection that was just opened, where that takes no round trip; otherwise null.</summary>
    public virtual ValueTask<DatabaseIdentity?> IdentifyOpenedAsync(DbConnection connection, CancellationToken cancellationToken) =>
        new((DatabaseIdentity?)null);

    /// <summary>
    /// What is there of a database that was identified before, where that can be told without a connection; otherwise null.
    /// </summary>
    public virtual DatabaseIdentity? IdentifyAgain(DatabaseIdentity known) => null;

    /// <summary>Which server an open connection leads to, and whose data it has.</summary>
    public virtual ValueTask<ServerIdentity> IdentifyServerAsync(DbConnection connection, CancellationToken cancellationToken) =>
        throw new NotSupportedException($"The database ({Name}) has no server.");

    /// <summary>
    /// Names the session of the server that a connection has, which keeps what is prepared; null where that cannot be told.
    /// </summary>
    public virtual string? SessionName(DbConnection connection) => null;

    /// <summary>Whether an error is that of the guard before a statement in a user's transaction.</summary>
    public virtual bool IsGuard(Exception exception) => false;

    /// <summary>Where an insert of one row of the application's commits by itself together with messages; null for nowhere.</summary>
    public virtual LoneTables? Lone => null;

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

    /// <summary>Makes a connection fit for its next user, before it goes back to the driver's pool. It never throws.</summary>
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

    /// <summary>Whether the error says that the database is starting, or as good as, and a start may wait for it.</summary>
    public virtual bool IsStarting(Exception exception) => false;

    /// <summary>
    /// Has the driver let go when a caller gives up, where it would otherwise wait for the network; null where nothing is waited for.
    /// </summary>
    public virtual Interruption? Interrupt(CancellationToken cancellationToken) => null;

    /// <summary>A statement on some topics with a limit for each: ready to be run, once or more often.</summary>
    public abstract IEnumerable<Statement> OfTopics(Statement statement, IReadOnlyList<string> topics);

    /// <summary>What a caller can do about an error that is permanent.</summary>
    public virtual KvErrorKind KindOf(Exception exception) => KvErrorKind.Refused;

    /// <summary>What helps against a refusal, where the database says too little of it; null where its own words do.</summary>
    public virtual string? RemedyOf(Exception exception) => null;

    /// <summary>Looks through what is stored.</summary>
    /// <param name="connection">An open connection.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What is damaged; null if nothing is.</returns>
    public virtual ValueTask<string?> FindDamageAsync(DbConnection connection, CancellationToken cancellationToken) => new((string?)null);

    /// <summary>Which session has the lock that another one waits for, and since when; null if that is not to be found out.</summary>
    /// <param name="session">Where to ask.</param>
    /// <param name="backend">By which number the server knows the session that waits.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public virtual ValueTask<string?> FindHolderAsync(Session session, int backend, CancellationToken cancellationToken) =>
        new((string?)null);

    /// <summary>Whether the error says that a lock was not to be had in time.</summary>
    public abstract bool IsLockWait(Exception exception);

    /// <summary>What to look for where a lock was not to be had and it is not known which session has it.</summary>
    public abstract string LockAdvice { get; }

    /// <summary>Whether the error proves that a commit that was sent did not happen.</summary>
    /// <param name="exception">The error.</param>
    /// <param name="connection">The connection that met it.</param>
    public abstract bool ProvesRollback(Exception exception, DbConnection connection);

    /// <summary>Looks for what slows the store down more and more although nothing fails.</summary>
    /// <param name="connection">An open connection.</param>
    /// <param name="longest">How long a transaction may be open.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What it is and what to do about it; null for nothing.</returns>
    public virtual ValueTask<string?> FindBurdenAsync(DbConnection connection, TimeSpan longest, CancellationToken cancellationToken) =>
        new((string?)null);

    /// <summary>Whether another program may have made the tables, and read them still.</summary>
    public virtual bool MayBeAdopted => false;

    /// <summary>Looks whether another program made the tables, on the calling thread and without waiting for a lock.</summary>
    public virtual bool LooksAdopted(DbConnection connection) => false;

    /// <summary>Whether another program made the tables that were taken over.</summary>
    public virtual ValueTask<bool> IsAdoptedAsync(DbConnection connection, CancellationToken cancellationToken) => new(false);

    /// <summary>Makes in tables that another program reads and writes, too, what keeps this store's part of them whole.</summary>
    public virtual ValueTask ShareAsync(DbConnection connection, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    /// <summary>Takes over tables that another program made, so that migrations continue from there.</summary>
    /// <returns>The names of the migrations that the tables already equal.</returns>
    public virtual ValueTask<IReadOnlyList<string>> AdoptAsync(DbConnection connection, CancellationToken cancellationToken) =>
        ValueTask.FromResult<IReadOnlyList<string>>([]);
}
