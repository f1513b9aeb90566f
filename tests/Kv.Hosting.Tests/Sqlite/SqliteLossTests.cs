using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Kv.Tests.Sqlite;

/// <summary>A worker whose file is deleted or replaced under it.</summary>
public sealed class SqliteLossTests(SqliteDatabase database) : IClassFixture<SqliteDatabase>
{
    private const int FileLost = 180;
    private string _file = "";
    private string _fresh = "";

    [Fact]
    public async Task A_completion_into_a_file_that_is_gone_is_told_to_its_handler_and_logged_and_health_says_so_from_then_on()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows keeps an open file where it is.");
        var logs = new LogCollector();
        Exception? told = null;
        await using var test = await database.CreateWorkerAsync(
            worker =>
            {
                worker.Services.AddHealthChecks().AddKvStore();
                worker.Handle<Job>(async (_, context, token) =>
                {
                    Replace();
                    told = await Record.ExceptionAsync(() => context.CompleteAsync(w => w.Set(["done"], 1), token).AsTask());
                });
            },
            new ManualTime(),
            logs: logs);
        _file = new SqliteConnectionStringBuilder(test.ConnectionString).DataSource;
        _fresh = new SqliteConnectionStringBuilder(await database.CreateMigratedAsync()).DataSource;
        await test.Store.EnqueueAsync(new Job(1));
        var health = test.Services.GetRequiredService<HealthCheckService>();
        Assert.Equal(HealthStatus.Healthy, (await health.CheckHealthAsync()).Status);

        await test.ClaimAsync();
        await test.IdleAsync();

        Assert.IsType<KvCommitUnknownException>(told);
        Assert.Contains(_file, told.Message, StringComparison.Ordinal);
        Assert.Contains(logs.Entries, entry => entry.Event == FileLost && entry.Text.Contains(_file, StringComparison.Ordinal));
        var report = await health.CheckHealthAsync();
        Assert.Equal(HealthStatus.Unhealthy, report.Status);
        Assert.Contains("was deleted, moved or replaced", report.Entries["kv"].Description!, StringComparison.Ordinal);
        Assert.Null(await test.Store.GetAsync(["done"]));
    }

    [Fact]
    public async Task A_message_whose_handler_just_returns_after_its_file_was_replaced_is_not_taken_for_done_without_a_word()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows keeps an open file where it is.");
        var logs = new LogCollector();
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, _, _) =>
            {
                Replace();
                return Task.CompletedTask;
            }),
            new ManualTime(),
            logs: logs);
        _file = new SqliteConnectionStringBuilder(test.ConnectionString).DataSource;
        _fresh = new SqliteConnectionStringBuilder(await database.CreateMigratedAsync()).DataSource;
        await test.Store.EnqueueAsync(new Job(1));

        await test.ClaimAsync();
        await test.IdleAsync();

        await logs.WaitForAsync(FileLost, 1);
        Assert.Contains(logs.Entries, static entry => entry.Level >= Microsoft.Extensions.Logging.LogLevel.Warning && entry.Event != FileLost);
        await test.Store.EnqueueAsync(new Job(2));
        Assert.Single(await test.QueuedAsync());
    }

    [Fact]
    public async Task Health_notices_a_file_that_was_deleted_while_nothing_is_written()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows keeps an open file where it is.");
        await using var test = await database.CreateStoreAsync(services: static services => services.AddHealthChecks().AddKvStore());
        await test.Store.SetAsync(["k"], 1);
        await test.Store.GetAsync(["k"]);
        var health = test.Services.GetRequiredService<HealthCheckService>();
        Assert.Equal(HealthStatus.Healthy, (await health.CheckHealthAsync()).Status);

        File.Delete(new SqliteConnectionStringBuilder(test.ConnectionString).DataSource);

        Assert.Equal(HealthStatus.Unhealthy, (await health.CheckHealthAsync()).Status);
        Assert.NotNull(test.Engine().Loss);
    }

    private void Replace()
    {
        File.Delete(_file + "-wal");
        File.Delete(_file + "-shm");
        File.Move(_fresh, _file, overwrite: true);
    }
}
