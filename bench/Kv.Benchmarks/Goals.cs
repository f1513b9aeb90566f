using System.Globalization;

namespace Kv.Benchmarks;

/// <summary>One line of the goals: what is compared, what must hold, and where we want to be.</summary>
/// <param name="AtMost">Whether less is better.</param>
public sealed record Goal(string Operation, string Beside, double Floor, double Target, Func<Goals, double?> Measured, bool AtMost = false);

/// <summary>The medians of a run, and the goals that they are held against.</summary>
public sealed class Goals(IReadOnlyList<Measurement> measurements)
{
    private static readonly Goal[] All =
    [
        Rate("get", "sqlite", "get", 1, "raw", 0.8, 1.1), Rate("get", "sqlite", "get", 1, "deno", 12, 20),
        Rate("get, 64 callers", "sqlite", "get", 64, "raw", 1.2, 1.8), Rate("get, 64 callers", "sqlite", "get", 64, "raw-per-core", 1.2, 1.8),
        Rate("get, 64 callers", "sqlite", "get", 64, "deno", 4.5, 6.5),
        Rate("get many 10", "sqlite", "getmany10", 1, "raw", 1, 1.5), Rate("get many 10", "sqlite", "getmany10", 1, "deno", 10, 16),
        Rate("list 100", "sqlite", "list100", 1, "raw", 0.8, 1.2), Rate("list 100", "sqlite", "list100", 1, "deno", 4, 7),
        Rate("list 1000", "sqlite", "list1000", 1, "raw", 0.8, 1.2), Rate("list 1000", "sqlite", "list1000", 1, "deno", 3, 6),
        Rate("set", "sqlite", "set", 1, "raw", 0.85, 1.1), Rate("set", "sqlite", "set", 1, "deno", 1.3, 1.8),
        .. Alone("sqlite", "check+set"), .. Alone("sqlite", "sum"), .. Alone("sqlite", "set10"),
        Rate("set, 64 callers", "sqlite", "set", 64, "deno", 6, 9), Rate("set, 256 callers", "sqlite", "set", 256, "deno", 6, 9),
        Rate("check+set, 64 callers", "sqlite", "check+set", 64, "deno", 7, 12), Rate("sum, 64 callers", "sqlite", "sum", 64, "deno", 6, 9),
        Rate("set 10 KB, 64 callers", "sqlite", "set", 64, "deno", 4, 6.5, 10 * 1024), Rate("10 mutations, 64 callers", "sqlite", "set10", 64, "deno", 3.5, 5),
        Rate("90/10 mix, 64 callers", "sqlite", "mixed", 64, "deno", 3.5, 5.3),
        new("SQLite 90/10 mix, 64 callers, p99", "ms", 20, 8, static run => run.Find("efkv", "sqlite", "mixed", 64)?.Slowest / 1000, AtMost: true),
        new("SQLite get, allocated", "raw", 0.8, 0.3, static run => run.Find("efkv", "sqlite", "get", 1)?.Allocated / run.Find("raw", "sqlite", "get", 1)?.Allocated, AtMost: true),
        Drain("sqlite", 10_000, "deno", 40, 84), Rate("queue steady", "sqlite", "steady", 64, "deno", 60, 190),
        new("SQLite queue latency, idle, p50", "ms", 1, 0.4, static run => run.Find("efkv", "sqlite", "latency", 1)?.Median / 1000, AtMost: true),
        Rate("get", "postgres", "get", 1, "raw", 0.8, 1), Rate("get many 10", "postgres", "getmany10", 1, "raw", 0.8, 1),
        Rate("list 100", "postgres", "list100", 1, "raw", 0.8, 1), Rate("list 1000", "postgres", "list1000", 1, "raw", 0.8, 1),
        Rate("set", "postgres", "set", 1, "raw", 0.85, 1),
        Rate("get, 64 callers", "postgres", "get", 64, "raw", 2.5, 5), Rate("set, 64 callers", "postgres", "set", 64, "raw", 15, 28),
        Rate("check+set, 64 callers", "postgres", "check+set", 64, "raw", 18, 34), Rate("sum, 64 callers", "postgres", "sum", 64, "raw", 30, 60),
        Rate("10 mutations, 64 callers", "postgres", "set10", 64, "raw", 8, 15),
        new("PostgreSQL set, 64 callers", "pgbench insert, 64 clients", 1.2, 2, static run => run.Find("efkv", "postgres", "set", 64)?.PerSecond / run.Find("pgbench", "postgres", "insert", 64)?.PerSecond),
        Drain("postgres", 10_000, "graphile-worker", 1.1, 2), Drain("postgres", 50_000, "graphile-worker", 1.1, 2), Rate("queue steady", "postgres", "steady", 64, "graphile-worker", 12, 28),
        Rate("enqueue, 64 callers", "postgres", "enqueue", 64, "graphile-worker", 15, 35),
        new("PostgreSQL queue latency, idle, p50", "graphile-worker", 0.7, 0.2, static run => run.Find("efkv", "postgres", "latency", 1)?.Median / run.Find("graphile-worker", "postgres", "latency", 1)?.Median, AtMost: true),
        new("PostgreSQL enqueue → handler in another process, p50", "ms", 15, 15, static run => run.Find("efkv", "postgres", "across", 1)?.Median / 1000, AtMost: true),
        Rate("entity and message, 64 callers", "sqlite", "outbox", 64, "ef", 0.9, 1), Rate("entity and message, 64 callers", "sqlite", "outbox", 64, "wolverine", 1, 1.5),
        Rate("entity and message, 64 callers", "postgres", "outbox", 64, "ef", 0.9, 1.1),
        Rate("entity and message, 64 callers", "postgres", "outbox", 64, "wolverine", 1.5, 2), Rate("entity and message, 64 callers", "postgres", "outbox", 64, "cap", 1.5, 2),
        .. Growth("sqlite"), .. Growth("postgres"),
        .. Both(static database => new($"{Name(database)} idle worker, besides next due times", "statements a minute", 2, 2, run => run.Find("efkv", database, "idle", 0)?.PerSecond * 60, AtMost: true)),
        .. Both(static database => new($"{Name(database)} recovery after a kill, lease 1 s", "ms", 1000, 1000, run => run.Find("efkv", database, "recovery", 0)?.Slowest / 1000, AtMost: true)),
        new("SQLite start-up to first operation", "ms", 250, 150, static run => run.Find("efkv", "sqlite", "startup", 0)?.Median / 1000, AtMost: true),
    ];

    private readonly HashSet<Wanted> _wanted = [];

    /// <summary>What the goals ask of the systems.</summary>
    private static HashSet<Wanted> AllWanted { get; } = Want();

    /// <summary>Whether a goal needs to know this.</summary>
    /// <param name="system">Who is asked.</param>
    /// <param name="case">What is asked.</param>
    /// <param name="grown">Whether the database is the largest of several.</param>
    public static bool Need(string system, Case @case, bool grown) =>
        AllWanted.Contains(new Wanted(system, @case.In.Database, @case.Operation, @case.In.Callers, @case.In.Value <= 100 ? 0 : @case.In.Value, grown, @case.In.Waiting > 0, @case.In.Waiting > 0 ? 0 : @case.In.Messages));

    /// <param name="all">Whether goals are shown that nothing was measured for.</param>
    public static void Print(IReadOnlyList<Measurement> measurements, bool all)
    {
        var run = new Goals(measurements);
        Console.WriteLine("| operation | beside | floor | goal | measured | |");
        Console.WriteLine("|---|---|---|---|---|---|");
        foreach (var goal in All)
        {
            var sign = goal.AtMost ? "≤ " : "≥ ";
            var measured = goal.Measured(run);
            if (measured is null && !all)
            {
                continue;
            }

            Console.WriteLine($"| {goal.Operation} | {goal.Beside} | {sign}{Text(goal.Floor)} | {sign}{Text(goal.Target)} | {(measured is { } ratio ? Text(ratio) : "not measured yet")} | {Verdict(goal, measured)} |");
        }
    }

    /// <summary>The median of a system's rounds. Where there are several sizes of the database, the smallest, or the largest if there are two.</summary>
    private Measurement? Find(string system, string database, string operation, int callers, int value = 0, bool grown = false, int messages = 0)
    {
        _wanted.Add(new Wanted(system, database, operation, callers, value, grown, Waits: false, messages));
        var found = measurements
            .Where(m => m.System == system && m.In.Database == database && m.Operation == operation && m.In.Callers == callers && m.In.Waiting == 0
                && (messages == 0 || m.In.Messages == messages)
                && (m.In.Value == value || (value == 0 && m.In.Value <= 100)))
            .GroupBy(static m => m.In.Rows).OrderBy(static rows => rows.Key).ToList();
        return found.Count == 0 || (grown && found.Count == 1) ? null : Table.Median(grown ? found[^1] : found[0]);
    }

    /// <summary>How a drain with most messages waiting beside it stands to one with fewest.</summary>
    private double? Beside(string database)
    {
        _wanted.Add(new Wanted("efkv", database, "drain", 0, 0, Grown: false, Waits: true, Messages: 0));
        var found = measurements
            .Where(m => m.System == "efkv" && m.In.Database == database && m is { Operation: "drain", In.Waiting: > 0 })
            .GroupBy(static m => m.In.Waiting).OrderBy(static waiting => waiting.Key).ToList();
        return found.Count < 2 ? null : Table.Ratio(Table.Median(found[^1]), Table.Median(found[0]));
    }

    private static HashSet<Wanted> Want()
    {
        var nothing = new Goals([]);
        foreach (var goal in All)
        {
            goal.Measured(nothing);
        }

        return nothing._wanted;
    }

    private static Goal Rate(string what, string database, string operation, int callers, string other, double floor, double target, int value = 0) =>
        new($"{Name(database)} {what}", other, floor, target, run => Table.Ratio(run.Find("efkv", database, operation, callers, value), run.Find(other, database, operation, callers, value)));

    private static Goal Drain(string database, int messages, string other, double floor, double target) => new(
        $"{Name(database)} queue drain of {messages.ToString("N0", CultureInfo.InvariantCulture)}", other, floor, target,
        run => Table.Ratio(run.Find("efkv", database, "drain", 0, messages: messages), run.Find(other, database, "drain", 0, messages: messages)));

    private static Goal[] Alone(string database, string operation) =>
        [Rate(operation, database, operation, 1, "raw", 0.8, 1), Rate(operation, database, operation, 1, "deno", 1.2, 1.6)];

    private static Goal[] Growth(string database) =>
    [
        .. ((string[])["get", "getmany10", "list100", "set", "check+set", "sum"]).Select(operation => new Goal(
            $"{Name(database)} {operation}, most rows", "fewest rows", operation == "get" ? 0.65 : 0.8, 1,
            run => Table.Ratio(run.Find("efkv", database, operation, 1, grown: true), run.Find("efkv", database, operation, 1)))),
        new($"{Name(database)} queue drain, most waiting", "fewest waiting", 0.8, 1, run => run.Beside(database)),
    ];

    private static Goal[] Both(Func<string, Goal> goal) => [goal("sqlite"), goal("postgres")];

    private static string Name(string database) => database == "sqlite" ? "SQLite" : "PostgreSQL";

    private static string Text(double number) => number.ToString(number >= 100 ? "0" : "0.##", CultureInfo.InvariantCulture);

    private static string Verdict(Goal goal, double? measured) => measured switch
    {
        null => "",
        { } ratio when Reaches(ratio, goal.Target, goal.AtMost) => "goal",
        { } ratio when Reaches(ratio, goal.Floor, goal.AtMost) => "floor",
        _ => "**missed**",
    };

    private static bool Reaches(double measured, double wanted, bool atMost) => atMost ? measured <= wanted : measured >= wanted;

    private sealed record Wanted(string System, string Database, string Operation, int Callers, int Value, bool Grown, bool Waits, int Messages);
}
