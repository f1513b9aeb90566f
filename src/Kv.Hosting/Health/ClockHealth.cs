using System.Data.Common;
using System.Globalization;
using Kv.Connections;

namespace Kv.Health;

/// <summary>Which clock decides, and how far this machine's is off the database server's, for the health check.</summary>
internal static class ClockHealth
{
    private static readonly TimeSpan Noticeable = TimeSpan.FromSeconds(5);

    /// <summary>Adds what is found to the data of the check.</summary>
    /// <param name="clock">The store's clock.</param>
    /// <param name="connection">An open connection.</param>
    /// <param name="data">The data.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What is to be said of a clock that is off, and whether it harms; null if none is.</returns>
    public static async ValueTask<(string Text, bool Harms)?> LookAsync(
        StoreClock clock, DbConnection connection, Dictionary<string, object> data, CancellationToken cancellationToken)
    {
        var isSystems = ReferenceEquals(clock.Time, TimeProvider.System);
        data["clock"] = clock.ServerDecides ? "server" : isSystems ? "machine" : "injected";
        if (await clock.OffAsync(connection, cancellationToken).ConfigureAwait(false) is not { } off || off.Duration() < Noticeable)
        {
            return null;
        }

        data["clockOffSeconds"] = Math.Round(off.TotalSeconds, 1);
        var side = off > TimeSpan.Zero ? "ahead of" : "behind";
        var how = string.Create(
            CultureInfo.InvariantCulture, $"This machine's clock is {off.Duration().TotalSeconds:0} seconds {side} the database server's");
        return clock.ServerDecides ? ($"{how}. The server's decides for the store; set this one right for whatever else goes by it.", false)
            : ($"{how}, and it decides (KvStoreOptions.Clock): it ends entries, leases and ticks of others at wrong times. "
                + "Set it right, or let the server's clock decide.", isSystems);
    }
}
