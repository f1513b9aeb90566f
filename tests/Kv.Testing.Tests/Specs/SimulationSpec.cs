using Kv.Simulated;
using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>
/// Several processes by seeds: what they do, which faults they meet and when they die, with the store compared with a model after each
/// step.
/// </summary>
public abstract class SimulationSpec(KvDatabase database, int seeds)
{
    private readonly CancellationToken _token = TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whatever_processes_do_and_meet_the_store_holds_what_the_model_says_and_no_message_is_lost()
    {
        await using var output = new StringWriter();

        var failed = await Seeds.RunAsync(Options() with { Count = seeds }, output, _token);

        Assert.True(failed == 0, output.ToString());
    }

    [Fact]
    public async Task What_the_model_does_not_know_of_is_found_and_the_seed_is_named()
    {
        await using var output = new StringWriter();

        var failed = await Seeds.RunAsync(Options() with { Count = 3, Tampers = true }, output, _token);

        Assert.Equal(3, failed);
        Assert.Contains("--seed 1 --steps 60", output.ToString(), StringComparison.Ordinal);
    }

    protected SimulationOptions Options() => new()
    {
        Database = database.Source(),
        Provider = database is PostgresDatabase ? "postgres" : "sqlite",
    };
}

public sealed class SqliteSimulationTests(SqliteDatabase database)
    : SimulationSpec(database, seeds: 200), IClassFixture<SqliteDatabase>
{
    [Fact]
    public async Task A_seed_does_the_same_again()
    {
        for (var seed = 1; seed <= 25; seed++)
        {
            var token = TestContext.Current.CancellationToken;
            var (first, _) = await Seeds.RunAsync(seed, Options(), token);
            var (second, _) = await Seeds.RunAsync(seed, Options(), token);

            Assert.Equal(first, second);
            Assert.True(first.Count > 60);
        }
    }
}

public sealed class PostgresSimulationTests(PostgresDatabase database)
    : SimulationSpec(database, seeds: 20), IClassFixture<PostgresDatabase>;
