using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.Specs;

/// <summary>What a store holds and what it says, as text.</summary>
public abstract class SnapshotSpec(KvDatabase database)
{
    private const string Expected = """
        entries
          ["a"] = {"Id":7}
          ["b", 1] = 5, expires 2026-01-01 00:10:00
          ["b", 2] = Bytes 0xFF
        queue
          mail on 'mail', due 2026-01-01 00:00:00, group 'g': {"To":"ada"}
          mail on 'mail', due 2026-01-01 00:00:00, waits for its group, group 'g': {"To":"bob"}
          mail on 'post', due 2026-01-01 01:00:00, priority 2: {"To":"eve"}
        running
          order-placed on 'order-placed', runs: {"Id":2}
        dead letters
          order-placed on 'order-placed', 1 failed (No.): {"Id":1}

        """;

    private readonly CancellationToken _token = TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_same_content_is_the_same_text_in_every_store()
    {
        var texts = await Task.WhenAll(SnapshotAsync(), SnapshotAsync());

        Assert.Equal(Expected, texts[0]);
        Assert.Equal(Expected, texts[1]);
    }

    [Fact]
    public async Task Entries_of_a_range_are_shown_alone()
    {
        await using var kv = await database.StartAsync(static _ => { });
        await kv.Store.SetAsync(["a"], 1, cancellationToken: _token);
        await kv.Store.SetAsync(["b", 1], 2, cancellationToken: _token);

        var text = await kv.SnapshotAsync(KvRange.Prefix(["b"]), _token);

        Assert.StartsWith("entries\n  [\"b\", 1] = 2\nqueue\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_logged_is_shown_from_a_level_on_with_the_times_of_the_clock()
    {
        List<string> lines = [];
        await using var kv = await database.StartAsync(
            static app => app.Handle<Mail>(static (_, context, _) =>
            {
                context.Services.GetRequiredService<ILogger<Mail>>().LogWarning("Mail.");
                context.Services.GetRequiredService<ILogger<Mail>>().LogDebug("Not shown.");
                return Task.CompletedTask;
            }),
            options =>
            {
                options.LogLevel = LogLevel.Information;
                options.Log = line =>
                {
                    lock (lines)
                    {
                        lines.Add(line);
                    }
                };
            });
        await kv.Store.EnqueueAsync(new Mail("ada"), new KvEnqueueOptions { Delay = TimeSpan.FromHours(1) }, _token);
        await kv.AdvanceAsync(TimeSpan.FromHours(2), _token);

        Assert.Contains("2026-01-01 01:00:00 Warning Kv.Tests.Mail: Mail.", lines);
        Assert.DoesNotContain(lines, static line => line.Contains("Not shown.", StringComparison.Ordinal));
        Assert.DoesNotContain(lines, static line => line.Contains("Microsoft", StringComparison.Ordinal));
    }

    private async Task<string> SnapshotAsync()
    {
        await using var kv = await database.StartAsync(static app => app
            .Schedule("nightly", KvSchedule.Every(TimeSpan.FromDays(1)), new Mail("night"))
            .Handle<OrderPlaced>(static (order, context, token) => order.Id == 1
                ? throw new InvalidOperationException("No.")
                : Task.Delay(TimeSpan.FromHours(1), context.Services.GetRequiredService<TimeProvider>(), token)));
        await kv.Store.EnqueueAsync(new OrderPlaced(1), new KvEnqueueOptions { BackoffSchedule = [] }, _token);
        await kv.Store.EnqueueAsync(new OrderPlaced(2), cancellationToken: _token);
        await kv.DrainAsync(_token);
        await kv.Store.EnqueueAsync(new Mail("ada"), new KvEnqueueOptions { GroupKey = "g" }, _token);
        await kv.Store.EnqueueAsync(new Mail("bob"), new KvEnqueueOptions { GroupKey = "g" }, _token);
        await kv.Store.EnqueueAsync(
            new Mail("eve"), new KvEnqueueOptions { Delay = TimeSpan.FromHours(1), Topic = "post", Priority = 2 }, _token);
        await kv.Store.SetAsync(["b", 2], KvValue.FromBytes([255]), cancellationToken: _token);
        await kv.Store.SumAsync(["b", 1], 5, TimeSpan.FromMinutes(10), _token);
        await kv.Store.SetAsync(["a"], new OrderPlaced(7), cancellationToken: _token);
        return await kv.SnapshotAsync(cancellationToken: _token);
    }
}

public sealed class SqliteSnapshotTests(SqliteDatabase database) : SnapshotSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresSnapshotTests(PostgresDatabase database) : SnapshotSpec(database), IClassFixture<PostgresDatabase>;
