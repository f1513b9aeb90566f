using System.Data.Common;
using System.Globalization;
using Kv.Sql;

namespace Kv.Connections;

/// <summary>The store's time. One clock decides everything that processes have to agree on: what is expired, due or lapsed, and when a schedule ticks.</summary>
/// <remarks>
/// Machines that share a database server need not agree on the time, so the server's clock decides: statements ask it themselves
/// (<see cref="KvSql"/>), and what a process reckons between them starts from what the server said last. Where every client runs on the
/// database's own machine, and where a program injects a clock in place of the system's, that one decides.
/// </remarks>
internal sealed class StoreClock(TimeProvider time, string? serverTime, KvClockSource source = KvClockSource.Automatic)
{
    // What drifts apart in that time is less than what an answer takes.
    private static readonly TimeSpan Fresh = TimeSpan.FromSeconds(30);
    private Reading? _server;

    /// <summary>Whether there is a clock that all clients of the database share.</summary>
    public bool HasServer => ServerTime is not null;

    /// <summary>The statement that asks the server for the time, in Unix milliseconds; null where there is none.</summary>
    public string? ServerTime { get; } = serverTime;

    /// <summary>What timers and lengths of time are measured by, whichever clock decides.</summary>
    public TimeProvider Time { get; } = time;

    public bool ServerDecides { get; } = source switch
    {
        KvClockSource.Server => true,
        KvClockSource.Injected => false,
        _ => serverTime is not null && ReferenceEquals(time, TimeProvider.System),
    };

    /// <summary>The time in Unix milliseconds, without asking the server: as far as it is known here, and never ahead of it.</summary>
    public long Now => UtcNow.ToUnixTimeMilliseconds();

    /// <inheritdoc cref="Now" />
    public DateTimeOffset UtcNow => ServerDecides && Volatile.Read(ref _server) is { } read
        ? DateTimeOffset.FromUnixTimeMilliseconds(read.Now) + TimeProvider.System.GetElapsedTime(read.At)
        : Time.GetUtcNow();

    /// <summary>Whether the time is known well enough to go by it without asking.</summary>
    public bool IsFresh => !ServerDecides || (Volatile.Read(ref _server) is { } read && TimeProvider.System.GetElapsedTime(read.At) < Fresh);

    /// <summary>The server said what time it is. The answer took its time, so by now it is a little later.</summary>
    /// <param name="now">Unix milliseconds.</param>
    public void Learn(long now) => Volatile.Write(ref _server, new Reading(now, TimeProvider.System.GetTimestamp()));

    /// <summary>Asks the server for the time, if its clock decides.</summary>
    /// <param name="connection">An open connection.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async ValueTask ReadAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        if (ServerDecides)
        {
            Learn(await AskAsync(connection, cancellationToken).ConfigureAwait(false));
        }
    }

    /// <summary>How far the clock of this machine, or the injected one, is ahead of the server's at least; negative for behind.</summary>
    /// <param name="connection">An open connection.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Null where there is no server.</returns>
    public async ValueTask<TimeSpan?> OffAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        if (!HasServer)
        {
            return null;
        }

        var before = Time.GetUtcNow();
        var server = DateTimeOffset.FromUnixTimeMilliseconds(await AskAsync(connection, cancellationToken).ConfigureAwait(false));
        var after = Time.GetUtcNow();
        return before > server ? before - server : after < server ? after - server : TimeSpan.Zero;
    }

    private async ValueTask<long> AskAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        var command = connection.CreateCommand();
        await using (command.ConfigureAwait(false))
        {
            command.CommandText = ServerTime;
            return Convert.ToInt64(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false), CultureInfo.InvariantCulture);
        }
    }

    /// <summary>The same time for statements that run where the clock which decides is not: it is told to them.</summary>
    public StoreClock Elsewhere() => new(new Told(this), serverTime: null);

    /// <summary>What this clock knows, for one that asks no server.</summary>
    private sealed class Told(StoreClock clock) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => clock.UtcNow;
    }

    /// <param name="Now">What the server said, in Unix milliseconds.</param>
    /// <param name="At">When the answer came, as a timestamp of the system: no injected clock moves the server's.</param>
    private sealed record Reading(long Now, long At);
}
