using Kv.Engine;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>Where the clock of a machine decides, or an injected one: what it does while it is wrong is undone when it is right again.</summary>
public abstract class ClockStepSpec(KvDatabase database)
{
    private static readonly TimeSpan Hour = TimeSpan.FromHours(1);
    private readonly ManualTime _time = new();

    [Theory]
    [InlineData(2)]
    [InlineData(24 * 400)]
    public async Task A_clock_that_is_set_forward_and_back_deletes_nothing(int hours)
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.SetAsync(["k"], 7, Hour);
        await test.Engine.Sweeper.SweepAsync(CancellationToken.None);

        _time.Step(TimeSpan.FromHours(hours));
        await test.Engine.Sweeper.SweepAsync(CancellationToken.None);
        Assert.Null(await test.Store.GetAsync(["k"]));
        _time.Advance(TimeSpan.FromMinutes(9));
        await test.Engine.Sweeper.SweepAsync(CancellationToken.None);
        _time.Step(TimeSpan.FromHours(-hours));
        await test.Engine.Sweeper.SweepAsync(CancellationToken.None);
        _time.Advance(TimeSpan.FromMinutes(20));
        await test.Engine.Sweeper.SweepAsync(CancellationToken.None);

        Assert.Equal(7, await test.Store.GetAsync<int>(["k"]));
        _time.Advance(Hour);
        await test.Engine.Sweeper.SweepAsync(CancellationToken.None);
        Assert.Equal(0, await test.CountRowsAsync());
    }

    [Fact]
    public async Task A_clock_that_was_set_forward_is_believed_after_some_time()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.SetAsync(["k"], 7, Hour);
        await test.Engine.Sweeper.SweepAsync(CancellationToken.None);
        _time.Step(2 * Hour);

        Assert.Equal(TimeSpan.FromSeconds(60), await test.Engine.Sweeper.SweepAsync(CancellationToken.None));
        Assert.Equal(1, await test.CountRowsAsync());
        _time.Advance(ExpirySweeper.Doubt);
        await test.Engine.Sweeper.SweepAsync(CancellationToken.None);

        Assert.Equal(0, await test.CountRowsAsync());
    }

    [Fact]
    public async Task A_clock_that_is_set_back_or_a_little_forward_is_not_doubted()
    {
        await using var test = await database.CreateStoreAsync(_time);
        await test.Store.SetAsync(["k"], 7, Hour);
        await test.Engine.Sweeper.SweepAsync(CancellationToken.None);
        _time.Step(-Hour);
        await test.Engine.Sweeper.SweepAsync(CancellationToken.None);
        _time.Advance(2 * Hour);
        _time.Step(TimeSpan.FromMilliseconds(500));

        await test.Engine.Sweeper.SweepAsync(CancellationToken.None);

        Assert.Equal(0, await test.CountRowsAsync());
    }
}

public sealed class SqliteClockStepTests(SqliteDatabase database) : ClockStepSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresClockStepTests(PostgresDatabase database) : ClockStepSpec(database), IClassFixture<PostgresDatabase>;
