using System.Data.Common;
using Kv.Diagnostics;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace Kv.Connections;

/// <summary>
/// Opens sessions of a store: connections that many callers use, so each is opened with nothing of the one that happens to need it first.
/// </summary>
/// <param name="contexts">Makes contexts of the store's model, with connections of their own.</param>
/// <param name="driver">The database.</param>
/// <param name="openCurrent">
/// Opens the connection of a context after it has made sure of the schema, and tells of migrations of newer versions beside which this
/// one goes on.
/// </param>
/// <param name="options">The store's options.</param>
/// <param name="logger">Where to say what goes wrong.</param>
/// <param name="failPoints">Where tests have an opening fail; null for nowhere.</param>
internal sealed class SessionFactory(
    Func<KvDbContext> contexts,
    Driver driver,
    Func<KvDbContext, Driver, CancellationToken, Task<IReadOnlyList<string>>> openCurrent,
    KvStoreOptions options,
    ILogger logger,
    FailPoints? failPoints = null) : IAsyncDisposable
{
    private KvDbContext? _first;
    private readonly bool _isShared = IsShared(options, driver);
    private bool? _looked;

    /// <summary>Looks at connections that were opened, and hears whether they are to write.</summary>
    public Func<DbConnection, bool, CancellationToken, ValueTask>? Opened { get; set; }

    public KvDbContext CreateContext() => Detached.Run(contexts);

    /// <summary>
    /// Makes sure of the schema, and has the clock learn what time it is on the server. The connection that it takes is kept for the
    /// first session: a second one costs a start 40 ms.
    /// </summary>
    /// <exception cref="KvException">The schema is behind or ahead (<see cref="KvErrorKind.Schema"/>).</exception>
    public ValueTask EnsureSchemaAsync(StoreClock clock, CancellationToken cancellationToken) =>
        new(Detached.RunAsync(() => CheckAsync(clock, cancellationToken)));

    private async Task CheckAsync(StoreClock clock, CancellationToken cancellationToken)
    {
        var context = contexts();
        try
        {
            await ReachAsync().ConfigureAwait(false);
            var newer = await openCurrent(context, driver, cancellationToken).ConfigureAwait(false);
            if (newer.Count > 0)
            {
                KvLog.BesideNewer(logger, string.Join(", ", newer));
            }

            await clock.ReadAsync(context.Database.GetDbConnection(), cancellationToken).ConfigureAwait(false);
            await LookAsync(context.Database.GetDbConnection(), writes: false, cancellationToken).ConfigureAwait(false);
            Readers = driver.ReadersOf(context.Database.GetDbConnection());
            IsAdopted = _isShared
                || await driver.IsAdoptedAsync(context.Database.GetDbConnection(), cancellationToken).ConfigureAwait(false);
            if (IsAdopted)
            {
                await driver.ShareAsync(context.Database.GetDbConnection(), cancellationToken).ConfigureAwait(false);
            }

            if (Interlocked.Exchange(ref _first, context) is { } unused)
            {
                await unused.DisposeAsync().ConfigureAwait(false);
            }
        }
        catch
        {
            await context.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Whether another program made the tables, and reads them still: it is to find nothing there that it cannot read.</summary>
    public bool IsAdopted { get; private set; }

    /// <summary>Looks whether it is so before the store is open, on the calling thread. A database that is not to be had says no.</summary>
    public bool LooksAdopted()
    {
        if (_isShared || IsAdopted || !driver.MayBeAdopted)
        {
            return _isShared || IsAdopted;
        }

        return (_looked ??= Detached.Run(Look)) ?? false;

        bool? Look()
        {
            using var context = contexts();
            var connection = context.Database.GetDbConnection();
            try
            {
                driver.CheckConnection(connection);
                driver.RefuseToCreate(connection);
                context.Database.OpenConnection();
                return driver.LooksAdopted(connection);
            }
            catch (Exception error) when (error is not OutOfMemoryException)
            {
                // The opening of the store tells, and what was made for another file is refused in the commit.
                return null;
            }
        }
    }

    /// <summary>How many sessions may read at the same time.</summary>
    public int Readers { get; private set; } = driver.Readers;

    /// <summary>Opens a session on the calling thread alone.</summary>
    public Session Open(SessionRole role) => Detached.Run(() => OpenHere(role));

    private Session OpenHere(SessionRole role)
    {
        var context = contexts();
        try
        {
            var connection = context.Database.GetDbConnection();
            driver.CheckConnection(connection);
            driver.RefuseToCreate(connection);
            ReachAsync().AsTask().GetAwaiter().GetResult();
            context.Database.OpenConnection();
            driver.OpenedAsync(connection, role, options, logger, CancellationToken.None).AsTask().GetAwaiter().GetResult();
            return SessionOf(context, role);
        }
        catch
        {
            context.Dispose();
            throw;
        }
    }

    /// <summary>Opens a session.</summary>
    /// <param name="role">What it is for.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <param name="within">How long that may take; null for as long as a command may.</param>
    /// <exception cref="TimeoutException">It was not open in time.</exception>
    public async ValueTask<Session> OpenAsync(SessionRole role, CancellationToken cancellationToken, TimeSpan? within = null)
    {
        var longest = within is { } left && left < options.CommandTimeout ? left : options.CommandTimeout;
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var interruption = new Interruption(end.Token);
        end.CancelAfter(longest > TimeSpan.Zero ? longest : TimeSpan.Zero);
        try
        {
            return await Detached.RunAsync(() => OpenHereAsync(role, interruption.Token)).ConfigureAwait(false);
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"The database did not open a connection within {longest.TotalSeconds:0.#} seconds.", error);
        }
    }

    private async Task<Session> OpenHereAsync(SessionRole role, CancellationToken cancellationToken)
    {
        var context = Interlocked.Exchange(ref _first, null) ?? contexts();
        try
        {
            var connection = context.Database.GetDbConnection();
            driver.CheckConnection(connection);
            driver.RefuseToCreate(connection);
            if (connection.State != System.Data.ConnectionState.Open)
            {
                await ReachAsync().ConfigureAwait(false);
            }

            await context.Database.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
            await driver.OpenedAsync(connection, role, options, logger, cancellationToken).ConfigureAwait(false);
            await LookAsync(connection, role == SessionRole.Write, cancellationToken).ConfigureAwait(false);
            return SessionOf(context, role);
        }
        catch
        {
            // What failed to open says why; closing it adds nothing.
            await context.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private ValueTask ReachAsync() => failPoints is { IsWatched: true } ? failPoints.HitAsync(FailPoints.Open) : default;

    private ValueTask LookAsync(DbConnection connection, bool writes, CancellationToken cancellationToken) =>
        Opened?.Invoke(connection, writes, cancellationToken) ?? ValueTask.CompletedTask;

    private Session SessionOf(KvDbContext context, SessionRole role) =>
        new(context, driver) { CommandTimeout = driver.CommandTimeout(role, options), Prepares = !options.TransactionPooling };

    public ValueTask DisposeAsync() => Interlocked.Exchange(ref _first, null)?.DisposeAsync() ?? ValueTask.CompletedTask;

    private static bool IsShared(KvStoreOptions options, Driver driver) => options.SharedWithDeno && !driver.MayBeAdopted
        ? throw new InvalidOperationException(
            "KvStoreOptions.SharedWithDeno is set, and Deno reads SQLite files whose tables have the usual names. Use SQLite without a "
            + "TablePrefix, or leave it out.")
        : options.SharedWithDeno;
}
