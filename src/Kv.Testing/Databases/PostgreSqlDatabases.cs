using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Kv.Databases;

/// <summary>Databases of a PostgreSQL server.</summary>
/// <param name="server">The connection string to a database of it that is there already.</param>
internal sealed class PostgreSqlDatabases(string server) : KvTestDatabase
{
    internal override TestDatabase Next() => new PostgreSqlDatabase(server);

    private sealed class PostgreSqlDatabase(string server) : TestDatabase
    {
        private const string Prefix = "efkv_test_";

        // Any number that nothing else on the server locks.
        private const long TemplateLock = 0x45664B76_54657374;

        // The servers of which it is known in this process that they have the template, with its name.
        private static readonly ConcurrentDictionary<string, string> Templates = new(StringComparer.Ordinal);

        private readonly string _name = $"{Prefix}{Guid.NewGuid():N}";
        private bool _isMade;

        private string ConnectionString => To(_name);

        public override void Configure(DbContextOptionsBuilder db) => db.UseNpgsql(ConnectionString);

        public override async Task CreateAsync(bool isMigrated, CancellationToken cancellationToken)
        {
            var template = isMigrated ? await TemplateAsync(cancellationToken).ConfigureAwait(false) : "template0";
            await RunAsync($"create database {_name} template {template}", cancellationToken).ConfigureAwait(false);
            _isMade = true;
        }

        public override async ValueTask DisposeAsync()
        {
            if (!_isMade)
            {
                return;
            }

            _isMade = false;
            var connection = new NpgsqlConnection(ConnectionString);
            await using (connection.ConfigureAwait(false))
            {
                NpgsqlConnection.ClearPool(connection);
            }

            await RunAsync($"drop database if exists {_name} with (force)", CancellationToken.None).ConfigureAwait(false);
        }

        private string To(string database, bool pooling = true) =>
            new NpgsqlConnectionStringBuilder(server) { Database = database, Pooling = pooling }.ConnectionString;

        /// <summary>The name of the template, which is made if it is not there: once for all processes.</summary>
        private async Task<string> TemplateAsync(CancellationToken cancellationToken)
        {
            if (Templates.TryGetValue(server, out var known))
            {
                return known;
            }

            // A database by its last migration, so that another version of the package has a template of its own.
            string name;
            var model = new KvDbContext(OptionsOf(To("postgres")));
            await using (model.ConfigureAwait(false))
            {
                name = $"{Prefix}template_{model.Database.GetMigrations().Last()}".ToLowerInvariant();
            }

            var connection = await OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                await RunAsync(connection, $"select pg_advisory_lock({TemplateLock})", cancellationToken).ConfigureAwait(false);
                var made = await RunAsync(
                    connection, $"select datistemplate from pg_database where datname = '{name}'", cancellationToken).ConfigureAwait(false);
                if (made is not true)
                {
                    // One that is there and is no template was left by a process that was killed.
                    await RunAsync(connection, $"drop database if exists {name} with (force)", cancellationToken).ConfigureAwait(false);
                    await RunAsync(connection, $"create database {name} template template0", cancellationToken).ConfigureAwait(false);

                    // What is connected to a database keeps it from being copied.
                    await MigrateAsync(db => db.UseNpgsql(To(name, pooling: false))).ConfigureAwait(false);
                    await RunAsync(connection, $"alter database {name} is_template true", cancellationToken).ConfigureAwait(false);
                }

                await RunAsync(connection, $"select pg_advisory_unlock({TemplateLock})", cancellationToken).ConfigureAwait(false);
            }

            return Templates.GetOrAdd(server, name);
        }

        private static DbContextOptions<KvDbContext> OptionsOf(string connectionString)
        {
            var builder = new DbContextOptionsBuilder<KvDbContext>();
            builder.UseNpgsql(connectionString, static db => db.MigrationsAssembly("Kv.EfCore.PostgreSql"));
            return builder.Options;
        }

        private async Task<NpgsqlConnection> OpenAsync(CancellationToken cancellationToken)
        {
            var connection = new NpgsqlConnection(server);
            try
            {
                await connection.OpenAsync(cancellationToken).ConfigureAwait(false);
                return connection;
            }
            catch
            {
                await connection.DisposeAsync().ConfigureAwait(false);
                throw;
            }
        }

        private async Task RunAsync(string text, CancellationToken cancellationToken)
        {
            var connection = await OpenAsync(cancellationToken).ConfigureAwait(false);
            await using (connection.ConfigureAwait(false))
            {
                await RunAsync(connection, text, cancellationToken).ConfigureAwait(false);
            }
        }

        private static async Task<object?> RunAsync(NpgsqlConnection connection, string text, CancellationToken cancellationToken)
        {
            // Making a database and dropping one wait for a checkpoint, which may take longer than the driver's 30 seconds.
            var command = new NpgsqlCommand(text, connection) { CommandTimeout = 120 };
            await using (command.ConfigureAwait(false))
            {
                return await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false);
            }
        }
    }
}
