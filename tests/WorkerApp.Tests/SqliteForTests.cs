using Microsoft.EntityFrameworkCore;

namespace Kv.Tests;

/// <summary>Files in a folder that is removed with the fixture.</summary>
public sealed class SqliteForTests : DatabaseForTests
{
    private readonly string _folder = Directory.CreateTempSubdirectory("efkv-sample-").FullName;
    private int _last;

    public override string Name => "sqlite";

    public override Task<string> CreateEmptyAsync() =>
        Task.FromResult($"Data Source={Path.Combine(_folder, $"{Interlocked.Increment(ref _last)}.db")};Pooling=False");

    public override void Configure(DbContextOptionsBuilder db, string connection) => db.UseSqlite(connection);

    public override ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public override ValueTask DisposeAsync()
    {
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }
}
