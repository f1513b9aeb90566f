using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Kv.TestKit;

/// <summary>SQLite files in a folder that goes away with the fixture.</summary>
public class SqliteDatabase : KvDatabase
{
    private readonly string _folder = Directory.CreateTempSubdirectory("efkv-").FullName;
    private readonly SemaphoreSlim _once = new(1, 1);
    private string? _template;
    private int _last;

    public override string Name => "sqlite";

    public override Task<string> CreateEmptyAsync() => Task.FromResult(ConnectionTo(NextFile()));

    public override async Task<string> CreateMigratedAsync()
    {
        await _once.WaitAsync();
        try
        {
            if (_template is null)
            {
                var template = NextFile();
                await MigrateAsync(ConnectionTo(template));
                _template = ConnectionTo(template);
            }
        }
        finally
        {
            _once.Release();
        }

        return await CopyAsync(_template);
    }

    public override Task<string> CopyAsync(string connectionString)
    {
        // The last connection that closes moves the write-ahead log into the file, which is then whole and can be copied.
        Release(connectionString);
        var file = NextFile();
        File.Copy(new SqliteConnectionStringBuilder(connectionString).DataSource, file);
        return Task.FromResult(ConnectionTo(file));
    }

    public override void Configure(DbContextOptionsBuilder db, string connectionString) => db.UseSqlite(connectionString);

    public override void Release(string connectionString)
    {
        using var connection = new SqliteConnection(connectionString);
        SqliteConnection.ClearPool(connection);
    }

    public override ValueTask DisposeAsync()
    {
        // An open file cannot be deleted on Windows.
        for (var file = 1; file <= _last; file++)
        {
            Release(ConnectionTo(FileOf(file)));
        }

        _once.Dispose();
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    private static string ConnectionTo(string file) => new SqliteConnectionStringBuilder { DataSource = file }.ConnectionString;

    private string NextFile() => FileOf(Interlocked.Increment(ref _last));

    private string FileOf(int number) => Path.Combine(_folder, $"{number}.db");
}
