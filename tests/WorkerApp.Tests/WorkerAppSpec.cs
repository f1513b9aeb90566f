using System.Globalization;
using System.Text.RegularExpressions;
using Kv.TestKit;

namespace Kv.Tests;

/// <summary>What README promises of the sample, on a database.</summary>
public abstract partial class WorkerAppSpec(KvDatabase database)
{
    private const string Malformed = """
        {"id":1,"day":"2026-03-01","customer":"Ana","item":"tea","cents":250,"currency":"EUR"}
        this is not JSON

        {"id":1,"day":"2026-03-01","customer":"Ana","item":"tea","cents":250,"currency":"EUR"}
        {"id":2,"day":"2026-03-01","customer":"Ana","item":"tea","cent":250,"currency":"EUR"}
        {"id":3,"day":"2026-03-02","customer":"Ana","item":"tea","cents":-1,"currency":"EUR"}
        {"id":4,"day":"2026-03-02","customer":"Ana","item":"tea","cents":50,"currency":"EUR","flaky":2}
        """;

    protected static readonly string SampleOrders = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "orders.jsonl"));

    protected static readonly string[] SampleLines = SampleOrders.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static readonly string FewOrders = string.Concat(SampleLines.Take(250).Select(static line => line + "\n"));

    protected KvDatabase Database => database;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Killed_at_any_moment_and_started_again_it_counts_each_order_once(int seed)
    {
        var connection = await database.CreateEmptyAsync();
        var random = new Random(seed);
        (Regex Line, int Number)[] moments =
        [
            (ImportedLine(), random.Next(100, 1500)),
            (HandledLine(), random.Next(300, 900)),
            (HandledLine(), random.Next(1200, 2000)),
            (HandledLine(), random.Next(2350, 2450)),
            (ReceiptsLine(), 2470),
        ];
        var kills = 0;
        foreach (var (line, number) in moments)
        {
            using var victim = Start(connection);
            if (await victim.SawAsync(text => Number(line, text) >= number))
            {
                await victim.KillAsync();
                kills++;
            }
        }

        using var last = Start(connection);
        var (exitCode, output, errors) = await last.EndAsync();

        Assert.True(kills >= 3, $"Only {kills} of the runs were killed before their end.");
        Assert.True(exitCode == 0, output + errors);
        Assert.Contains("The summary agrees with the input.", output, StringComparison.Ordinal);
        Assert.Equivalent(Reckoning.Of(SampleLines), await Reckoning.ReadAsync(database, connection, SampleOrders), strict: true);
    }

    [Fact]
    public async Task Run_twice_it_has_nothing_left_to_do_and_the_same_totals()
    {
        var connection = await database.CreateEmptyAsync();
        await RunAsync(connection, FewOrders);

        var (exitCode, output, _) = await RunAsync(connection, FewOrders);

        Assert.Equal(0, exitCode);
        Assert.Contains("Everything is already done.", output, StringComparison.Ordinal);
        Assert.Contains("The summary agrees with the input.", output, StringComparison.Ordinal);
        Assert.Equivalent(
            Reckoning.Of(SampleLines.Take(250)), await Reckoning.ReadAsync(database, connection, FewOrders), strict: true);
    }

    [Fact]
    public async Task Another_input_on_the_same_database_has_totals_of_its_own()
    {
        var connection = await database.CreateEmptyAsync();
        var others = string.Join('\n', SampleLines.Skip(100).Take(200));
        await RunAsync(connection, FewOrders);

        var (exitCode, _, errors) = await RunAsync(connection, others);

        Assert.True(exitCode == 0, errors);
        Assert.Equivalent(
            Reckoning.Of(SampleLines.Skip(100).Take(200)), await Reckoning.ReadAsync(database, connection, others), strict: true);
    }

    [Fact]
    public async Task Lines_that_are_not_orders_are_named_and_left_out()
    {
        var connection = await database.CreateEmptyAsync();

        var (exitCode, output, errors) = await RunAsync(connection, Malformed);

        Assert.True(exitCode == 0, output + errors);
        Assert.Contains("Line 2 is not an order", errors, StringComparison.Ordinal);
        Assert.Contains("Line 4 is not an order and is left out: Order 1 was there before.", errors, StringComparison.Ordinal);
        Assert.Contains("Line 5 is not an order", errors, StringComparison.Ordinal);
        Assert.Contains("3 lines of the input are not orders", output, StringComparison.Ordinal);
        var stored = await Reckoning.ReadAsync(database, connection, Malformed);
        Assert.Equal([1L, 4L], stored.Orders);
        Assert.Equal([3L], stored.Undelivered);
        Assert.Equal(50UL, stored.Days["2026-03-02 EUR"]);
    }

    [Fact]
    public async Task Watched_it_shows_the_totals_of_each_currency()
    {
        var connection = await database.CreateEmptyAsync();

        var (_, output, _) = await RunAsync(connection, FewOrders, "--watch");

        var total = Reckoning.Of(SampleLines.Take(250)).Days
            .Where(static day => day.Key.EndsWith("EUR", StringComparison.Ordinal)).Aggregate(0UL, static (sum, day) => sum + day.Value);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"· EUR {total / 100m:N2} ·"), output, StringComparison.Ordinal);
    }

    protected SampleProcess Start(string connection, params IEnumerable<string> arguments) => SampleProcess.Start(
    [
        "--provider", database.Name, "--connection", connection, "--WorkerApp:Progress=00:00:00",
        "--Kv:Worker:Lease=00:00:01", "--Kv:Worker:RecoverInterval=00:00:00.1", .. arguments,
    ]);

    private async Task<(int ExitCode, string Output, string Errors)> RunAsync(string connection, string orders, params IEnumerable<string> arguments)
    {
        using var sample = Start(connection, ["--orders", "-", .. arguments]);
        await sample.WriteInputAsync(orders);
        return await sample.EndAsync();
    }

    private static int Number(Regex pattern, string line) => pattern.Match(line) is { Success: true } match
        ? int.Parse(match.Groups["number"].Value, NumberStyles.AllowThousands, CultureInfo.InvariantCulture)
        : 0;

    [GeneratedRegex("^Imported (?<number>[0-9,]+) orders", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ImportedLine();

    [GeneratedRegex("^Handled (?<number>[0-9,]+) of", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex HandledLine();

    [GeneratedRegex(", (?<number>[0-9,]+) receipts", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ReceiptsLine();
}

public sealed class SqliteWorkerAppTests(SqliteDatabase database) : WorkerAppSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresWorkerAppTests(PostgresDatabase database) : WorkerAppSpec(database), IClassFixture<PostgresDatabase>
{
    // On PostgreSQL only: SQLite before 3.51.3 can corrupt a file that two processes write, and the one at hand may be older.
    [Fact]
    public async Task Two_processes_share_an_input()
    {
        var connection = await Database.CreateEmptyAsync();
        using var first = Start(connection);
        using var second = Start(connection);

        var ends = await Task.WhenAll(first.EndAsync(), second.EndAsync());

        Assert.All(ends, static end => Assert.True(end.ExitCode == 0, end.Output + end.Errors));
        Assert.Equivalent(Reckoning.Of(SampleLines), await Reckoning.ReadAsync(Database, connection, SampleOrders), strict: true);
    }
}
