using System.Collections.Concurrent;
using System.Data.Common;
using Microsoft.EntityFrameworkCore;

namespace Kv.Connections;

/// <summary>
/// Knows which database is the store's, so that a write which is joined to a transaction of the user's gets into no other one: the user's
/// context may be on another database, on a copy, or find other tables first.
/// </summary>
/// <remarks>See decision 0036.</remarks>
internal sealed class StoreIdentity(ReadRunner reads, Driver driver)
{
    private const int MostBatches = 4096;
    private const int MostContexts = 256;
    private readonly ConcurrentDictionary<string, bool> _same = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string, string), bool> _prepared = new();
    private volatile DatabaseIdentity? _known;

    /// <summary>What the store's tables have that no others have, as last seen; null before it was looked at.</summary>
    public string? Tables => _known?.Tables;

    /// <summary>Whether tables are known to be the store's, without asking a database.</summary>
    public bool Knows(DatabaseIdentity there) => _known?.IsStill(there) == true;

    /// <summary>Makes sure that a session, which is part of a transaction of the user's, works on the store's tables.</summary>
    /// <exception cref="InvalidOperationException">It does not. Nothing was written, and the transaction can go on.</exception>
    public ValueTask EnsureAsync(Session session, CancellationToken cancellationToken) =>
        EnsureAsync(session.Connection, session.Transaction, cancellationToken);

    /// <summary>Makes sure of it for a context that is part of nothing, when its connection string comes for the first time.</summary>
    /// <exception cref="InvalidOperationException">It is on another database. Nothing was written.</exception>
    public async ValueTask EnsureOnceAsync(DbContext context, CancellationToken cancellationToken)
    {
        var connection = context.Database.GetDbConnection();
        var name = connection.ConnectionString;
        if (_known is null || !_same.ContainsKey(name))
        {
            await context.Database.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                await EnsureAsync(connection, null, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                await context.Database.CloseConnectionAsync().ConfigureAwait(false);
            }

            if (_same.Count >= MostContexts)
            {
                _same.Clear();
            }

            _same.TryAdd(name, true);
        }
    }

    private async ValueTask EnsureAsync(DbConnection connection, DbTransaction? transaction, CancellationToken cancellationToken)
    {
        var there = await driver.IdentifyAsync(connection, transaction, cancellationToken).ConfigureAwait(false);
        await EnsureAsync(there, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Makes sure that what a transaction of the user's is to write into are the store's tables.</summary>
    /// <param name="there">What it is to write into.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="InvalidOperationException">They are not. Nothing was written, and the transaction can go on.</exception>
    public async ValueTask EnsureAsync(DatabaseIdentity there, CancellationToken cancellationToken)
    {
        var known = _known;
        if (known?.IsStill(there) == true)
        {
            return;
        }

        // The server was restarted, the database was made anew, or this is the first time: the store's own connections tell.
        var here = (known is null ? null : driver.IdentifyAgain(known)) ?? (_known = await reads.RunAsync(
            driver,
            static (own, of, token) => of.IdentifyAsync(own.Connection, own.Transaction, token),
            cancellationToken).ConfigureAwait(false));
        if (!here.Is(there))
        {
            throw new InvalidOperationException(
                $"The context is on {there.Location}, and the store on {here.Location}"
                + (here.Location == there.Location ? ", another one by the same name: it was replaced since it was opened; " : "; ")
                + "one commit spans one database. Nothing was written, and the transaction can go on. "
                + "Use a context on the store's database, or the store that is on the context's.");
        }
    }

    /// <summary>Looks at a connection of the store's own that was just opened, where that takes no round trip.</summary>
    /// <param name="connection">The connection.</param>
    /// <param name="writes">Whether it is the one that writes, which says what the store's database is.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async ValueTask OpenedAsync(DbConnection connection, bool writes, CancellationToken cancellationToken)
    {
        if (_known is null || writes)
        {
            _known = await driver.IdentifyOpenedAsync(connection, cancellationToken).ConfigureAwait(false) ?? _known;
        }
    }

    /// <summary>
    /// Makes sure of it before a batch is prepared on a connection for the first time: where a table is missing, preparing would end the
    /// user's transaction. What is prepared already looks by itself, before it does anything (<see cref="Driver.IsGuard"/>).
    /// </summary>
    public async ValueTask EnsurePreparableAsync(Session session, string batch, CancellationToken cancellationToken)
    {
        if (driver.SessionName(session.Connection) is not { } name)
        {
            await EnsureAsync(session, cancellationToken).ConfigureAwait(false);
            return;
        }

        if (_prepared.ContainsKey((name, batch)))
        {
            return;
        }

        await EnsureAsync(session, cancellationToken).ConfigureAwait(false);
        if (_prepared.Count >= MostBatches)
        {
            _prepared.Clear();
        }

        _prepared.TryAdd((name, batch), true);
    }
}
