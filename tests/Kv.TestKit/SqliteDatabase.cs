using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Kv.TestKit;

/// <summary>SQLite files in a folder that goes away with the fixture.</summary>
public sealed class SqliteDatabase : KvDatabase
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
                SqliteConnection.ClearAllPools();
                _template = template;
            }
        }
        finally
        {
            _once.Release();
        }

        var file = NextFile();
        File.Copy(_template, file);
        return ConnectionTo(file);
    }

    public override void Configure(DbContextOptionsBuilder db, string connectionString) => db.UseSqlite(connectionString);

    public override ValueTask DisposeAsync()
    {
        SqliteConnection.ClearAllPools();
        _once.Dispose();
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    private static string ConnectionTo(string file) => new SqliteConnectionStringBuilder { DataSource = file }.ConnectionString;

    private string NextFile() => Path.Combine(_folder, $"{Interlocked.Increment(ref _last)}.db");
}
