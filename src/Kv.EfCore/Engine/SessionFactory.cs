using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;

namespace Kv.Engine;

/// <summary>Opens sessions of a store.</summary>
internal sealed class SessionFactory(Func<KvDbContext> contexts, KvDialect dialect, KvStoreOptions options, ILogger logger)
{
    public KvDbContext CreateContext() => contexts();

    public async ValueTask<Session> OpenAsync(SessionRole role, CancellationToken cancellationToken)
    {
        var context = contexts();
        try
        {
            var connection = context.Database.GetDbConnection();
            dialect.CheckConnection(connection);
            await context.Database.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
            await dialect.OpenedAsync(connection, role, options, logger, cancellationToken).ConfigureAwait(false);
            return new Session(context) { CommandTimeout = dialect.CommandTimeout(role, options) };
        }
        catch
        {
            await context.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }
}
