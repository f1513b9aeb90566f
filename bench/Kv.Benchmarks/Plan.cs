using Kv.Benchmarks.Systems;

namespace Kv.Benchmarks;

/// <summary>Which questions are asked, and to whom.</summary>
public static class Plan
{
    /// <summary>
    /// The store of another build of this program, whose path is in EFKV_BENCH_BEFORE: what a change did, measured beside what it changed.
    /// </summary>
    public const string Before = "before";

    /// <summary>The store where no worker runs.</summary>
    public const string Producer = "efkv-producer";

    /// <summary>The store with its change feed on, and no follower.</summary>
    public const string Changes = "efkv-changes";

    private static readonly string[] Large = ["get", "set", "set10"];
    private static readonly string[] Growing = ["get", "getmany10", "list100", "set", "check+set", "sum"];

    /// <summary>The systems, the ones to compare with first, and on which databases they are.</summary>
    public static IReadOnlyDictionary<string, string[]> Systems { get; } = new Dictionary<string, string[]>(StringComparer.Ordinal)
    {
        ["efkv"] = ["sqlite", "postgres"],
        [Producer] = ["sqlite", "postgres"],
        [Changes] = ["sqlite", "postgres"],
        [Before] = ["sqlite", "postgres"],
        ["raw"] = ["sqlite", "postgres"],
        ["raw-per-core"] = ["sqlite"],
        ["ef"] = ["sqlite", "postgres"],
        ["deno"] = ["sqlite"],
        ["denokv-node"] = ["sqlite"],
        ["graphile-worker"] = ["postgres"],
        ["pg-boss"] = ["postgres"],
        ["pgbench"] = ["postgres"],
        ["wolverine"] = ["sqlite", "postgres"],
        ["cap"] = ["postgres"],
    };

    /// <summary>Whether a system is measured by this program, and not by one of its own.</summary>
    public static bool IsOurs(string system) => system is "efkv" or Producer or Changes or Before or "raw" or "raw-per-core" or "ef";

    /// <summary>Whether a system is measured by the program in bench/Kv.OutboxPeers.</summary>
    public static bool IsOutboxPeer(string system) => system is "wolverine" or "cap";

    /// <summary>Whether it can be told to go on and to wait. pgbench counts in whole seconds.</summary>
    public static bool TakesTurns(string system) => system != "pgbench";

    public static bool Answers(string system, Case @case) => Systems[system].Contains(@case.In.Database) && system switch
    {
        "efkv" => @case.Operation != "insert",
        Producer or "wolverine" or "cap" => @case.Operation == "outbox",
        Changes => @case.IsKeyValue && !@case.OnlyReads,
        Before => @case.Operation is not ("insert" or "startup"),
        "raw" => @case.IsKeyValue || @case.Operation is "startup" or "enqueue" or "steady" || IsPlainDrain(@case),
        "raw-per-core" => @case is { Operation: "get", In: { Callers: > 1, Value: KeyValueSystem.SmallValue } },
        "ef" => @case.IsKeyValue || @case.Operation is "startup" or "outbox",
        "pgbench" => @case is { Operation: "get" or "set" or "sum" or "insert" or "enqueue", In.Value: 0 or KeyValueSystem.SmallValue },
        "deno" or "denokv-node" => @case.IsKeyValue || @case.Operation == "startup" || QueueLoad.Knows(@case.Operation) && @case.In.Waiting == 0,
        _ => QueueLoad.Knows(@case.Operation) && @case.In.Waiting == 0,
    };

    public static IEnumerable<Case> Cases(Settings settings, string database) =>
        KeyValue(settings, database).Concat(Rest(settings, database)).Where(
            @case => settings.Operations?.Contains(@case.Operation) ?? true);

    private static bool IsPlainDrain(Case @case) => @case is { Operation: "drain", In.Waiting: 0 };

    private static IEnumerable<Case> KeyValue(Settings settings, string database) =>
        from rows in settings.Rows
        from value in settings.Values
        from operation in Case.KeyValueOperations
        from callers in settings.Callers
        where settings.Small ? IsEnough(operation, callers) : settings.Wide || Tells(settings, operation, callers, value, rows)
        select new Case(operation, new Circumstances(database, callers, value, rows));

    // What differs between callers or sizes is not the code of an operation: a small run asks two of them by few and many.
    private static bool IsEnough(string operation, int callers) => callers == 64 || operation is "get" or "set";

    // Large values tell about moving bytes, large databases about the depth of trees; both at once, and for every operation, is for --wide.
    private static bool Tells(Settings settings, string operation, int callers, int value, int rows) =>
        (value == settings.Values[0], rows == settings.Rows[0]) switch
        {
            (true, true) => true,
            (false, true) => Large.Contains(operation),
            (true, false) => Growing.Contains(operation) && callers <= 64,
            _ => false,
        };

    private static IEnumerable<Case> Rest(Settings settings, string database)
    {
        var many = settings.Callers.Contains(64) ? 64 : settings.Callers[^1];
        foreach (var callers in settings.Callers)
        {
            yield return new Case("insert", new Circumstances(database, callers, KeyValueSystem.SmallValue, settings.Rows[0]));
        }

        foreach (var callers in (int[])[1, many])
        {
            yield return new Case("enqueue", new Circumstances(database, callers));
        }

        foreach (var messages in settings.Messages)
        {
            yield return new Case("drain", new Circumstances(database, Messages: messages));
        }

        foreach (var waiting in settings.Waiting)
        {
            yield return new Case("drain", new Circumstances(database, Messages: settings.Messages[0], Waiting: waiting));
        }

        yield return new Case("steady", new Circumstances(database, many));
        yield return new Case("latency", new Circumstances(database, 1));
        yield return new Case("loaded", new Circumstances(database, 1));
        if (database == "postgres")
        {
            yield return new Case("across", new Circumstances(database, 1));
        }

        foreach (var callers in settings.Small ? [many] : (int[])[16, many])
        {
            yield return new Case("outbox", new Circumstances(database, callers));
        }

        yield return new Case("recovery", new Circumstances(database));
        yield return new Case("idle", new Circumstances(database));
        yield return new Case("startup", new Circumstances(database, Rows: settings.Rows[0]));
    }
}
