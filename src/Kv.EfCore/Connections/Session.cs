using System.Data.Common;
using Kv.Sql;
using Microsoft.EntityFrameworkCore;

namespace Kv.Connections;

/// <summary>An open connection of a context, with the commands that were prepared on it.</summary>
/// <remarks>
/// The connection is the context's own, so the user's connection string, data source and connection interceptors apply. It is held open,
/// since a context for each call costs more than most calls do. Not for concurrent use.
/// </remarks>
internal sealed class Session(DbContext context, Driver driver, DbTransaction? transaction = null) : IAsyncDisposable, IDisposable
{
    private readonly Dictionary<string, Statement> _statements = new(StringComparer.Ordinal);
    private readonly Dictionary<string, DbBatch> _batches = new(StringComparer.Ordinal);
    private readonly HashSet<DbBatch> _prepared = [];
    private OpenStorage? _storage;

    /// <summary>The store's statements.</summary>
    public KvSql Sql => driver.Sql;

    public DbConnection Connection { get; } = context.Database.GetDbConnection();

    /// <summary>The user's transaction, when the session is lent from a context of theirs that has one open.</summary>
    public DbTransaction? Transaction { get; } = transaction;

    /// <summary>Whether it is lent from a context of the user's, which stays open.</summary>
    public bool IsLent { get; init; }

    /// <summary>The store's database, which a lent session must be on.</summary>
    public StoreIdentity? Identity { get; init; }

    /// <summary>How long a statement may take, in seconds as ADO.NET counts; null for the connection's own setting.</summary>
    public int? CommandTimeout { get; init; }

    /// <summary>How long a statement may take; the largest there is for no bound.</summary>
    public TimeSpan Longest
    {
        get
        {
            using var command = Connection.CreateCommand();
            return (CommandTimeout ?? command.CommandTimeout) is var seconds && seconds > 0 ? TimeSpan.FromSeconds(seconds) : TimeSpan.MaxValue;
        }
    }

    /// <summary>Whether the connection leads to one session of the server, which can keep what is prepared.</summary>
    public bool Prepares { get; init; } = true;

    /// <summary>The pool that it goes back to; null for a session of another use.</summary>
    public SessionPool? Pool { get; set; }

    /// <summary>Which of its pool's makings it is of: what was made before a loss is kept no longer.</summary>
    public int Making { get; set; }

    /// <summary>Why what is written on it is not found by other connections any more; null if it is.</summary>
    /// <param name="hasWritten">Whether it has written.</param>
    public string? FindLoss(bool hasWritten = false) => (_storage ??= driver.StorageOf(Connection))?.FindLoss(hasWritten);

    /// <summary>Hears of an error that it met: of one that makes its connection useless, the driver need not know that it does.</summary>
    public void Blame(Exception error)
    {
        if (driver.IsSpent(error))
        {
            driver.ClearPool(context);
        }
    }

    /// <summary>Whether something that is to be taken back may have been done in the user's transaction.</summary>
    public bool HasBegun { get; set; }

    /// <summary>How often it came back to the pool.</summary>
    public int Reads { get; set; }

    public Statement Statement(string text)
    {
        if (!_statements.TryGetValue(text, out var statement))
        {
            statement = driver.CreateStatement(this, text);
            _statements.Add(text, statement);
        }

        return statement;
    }

    /// <summary>Several statements in one round trip, kept and prepared like a single one under the name of their combination.</summary>
    /// <remarks>One that is not prepared is made anew for each run: Npgsql adds its parameters a second time when it runs again.</remarks>
    public DbBatch Batch(string name, Func<IEnumerable<string>> texts)
    {
        if (!_batches.TryGetValue(name, out var batch) || !Prepares)
        {
            batch = Connection.CreateBatch();
            batch.Transaction = Transaction;
            if (CommandTimeout is { } timeout)
            {
                batch.Timeout = timeout;
            }

            foreach (var text in texts())
            {
                var command = batch.CreateBatchCommand();
                command.CommandText = text;
                CommandStatement.Declare(command.Parameters, text, command.CreateParameter);
                batch.BatchCommands.Add(command);
            }

            _batches[name] = batch;
        }

        return batch;
    }

    public async ValueTask PrepareAsync(DbBatch batch, string name, CancellationToken cancellationToken)
    {
        if (Prepares && _prepared.Add(batch))
        {
            if (Identity is not null)
            {
                await Identity.EnsurePreparableAsync(this, name, cancellationToken).ConfigureAwait(false);
            }

            await CommandStatement.PrepareAsync(batch.PrepareAsync, batch.Timeout, cancellationToken).ConfigureAwait(false);
        }
    }

    public ValueTask<int> ExecuteAsync(string text, CancellationToken cancellationToken) => Statement(text).ExecuteAsync(cancellationToken);

    public void Dispose()
    {
        foreach (var statement in _statements.Values)
        {
            statement.Dispose();
        }

        foreach (var batch in _batches.Values)
        {
            batch.Dispose();
        }

        if (!IsLent)
        {
            driver.Closing(Connection);
            context.Dispose();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var statement in _statements.Values)
        {
            statement.Dispose();
        }

        foreach (var batch in _batches.Values)
        {
            await batch.DisposeAsync().ConfigureAwait(false);
        }

        if (!IsLent)
        {
            driver.Closing(Connection);
            await context.DisposeAsync().ConfigureAwait(false);
        }
    }
}
