using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Kv.Databases;

/// <summary>SQLite files, each in a folder of its own.</summary>
internal sealed class SqliteFiles : KvTestDatabase
{
    // What all hosts of the process begin with: bytes that never change.
    private static readonly Lazy<Task<byte[]>> Template = new(SqliteFile.MakeTemplateAsync);

    internal override TestDatabase Next() => new SqliteFile();

    private sealed class SqliteFile : TestDatabase
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("efkv-test-").FullName;

        private string Path => System.IO.Path.Combine(_folder, "kv.db");

        private string ConnectionString => new SqliteConnectionStringBuilder { DataSource = Path }.ConnectionString;

        public static async Task<byte[]> MakeTemplateAsync()
        {
            var file = new SqliteFile();
            await using (file.ConfigureAwait(false))
            {
                await MigrateAsync(file.Configure).ConfigureAwait(false);

                // The last connection that closes moves the write-ahead log into the file, which is whole then.
                file.Close();
                return await File.ReadAllBytesAsync(file.Path).ConfigureAwait(false);
            }
        }

        public override void Configure(DbContextOptionsBuilder db) => db.UseSqlite(ConnectionString);

        public override async Task CreateAsync(bool isMigrated, CancellationToken cancellationToken)
        {
            if (isMigrated)
            {
                await File.WriteAllBytesAsync(Path, await Template.Value.ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
            }
        }

        public override ValueTask DisposeAsync()
        {
            Close();
            Directory.Delete(_folder, recursive: true);
            return ValueTask.CompletedTask;
        }

        private void Close()
        {
            using var connection = new SqliteConnection(ConnectionString);
            SqliteConnection.ClearPool(connection);
        }
    }
}
