using System.Globalization;
using Kv.Benchmarks.Systems;

namespace Kv.Benchmarks;

/// <summary>What the command line asks for.</summary>
public sealed class Settings(string[] args)
{
    private static readonly string[] Flags = ["--small", "--wide", "--goals", "--peers", "--setup", "--in-turns"];

    private static readonly string[] Options =
    [
        "--rounds", "--turns", "--seconds", "--warmup-seconds", "--idle-seconds", "--minutes", "--databases", "--systems", "--ops", "--callers", "--values", "--rows", "--messages",
        "--waiting", "--folder", "--results", "--cases",
    ];

    /// <summary>The first argument after the verb that means nothing here; null if each does. A run that took it for nothing would take an hour.</summary>
    public string? Unknown
    {
        get
        {
            for (var i = 1; i < args.Length; i++)
            {
                if (Options.Contains(args[i]) && i + 1 < args.Length)
                {
                    i++;
                }
                else if (!Flags.Contains(args[i]))
                {
                    return args[i];
                }
            }

            return null;
        }
    }

    /// <summary>Everything once and quickly, so that it cannot rot; the numbers mean nothing.</summary>
    public bool Small { get; } = args.Contains("--small");

    /// <summary>Every operation with every size of values and databases, not only those where it tells something.</summary>
    public bool Wide { get; } = args.Contains("--wide");

    /// <summary>Only what the goals are about.</summary>
    public bool GoalsOnly { get; } = args.Contains("--goals");

    public bool SetUp { get; } = args.Contains("--setup");

    /// <summary>Whether a process measures for <see cref="Time"/> at each line of its input, instead of once.</summary>
    public bool InTurns { get; } = args.Contains("--in-turns");

    public IReadOnlyList<string> Databases => Value("--databases", "sqlite,postgres")!.Split(',');

    /// <summary>Null: all that there are.</summary>
    public IReadOnlyList<string>? Systems => Value("--systems", null)?.Split(',');

    /// <summary>Null: all that there are.</summary>
    public IReadOnlyList<string>? Operations => Value("--ops", null)?.Split(',');

    public IReadOnlyList<int> Callers => Numbers("--callers", "1,64,256");

    public IReadOnlyList<int> Values => Numbers("--values", $"{KeyValueSystem.SmallValue},{KeyValueSystem.LargeValue}");

    public IReadOnlyList<int> Rows => Numbers("--rows", Small ? "2000" : "100000,1000000");

    public IReadOnlyList<int> Messages => Numbers("--messages", Small ? "500" : "10000,50000");

    public IReadOnlyList<int> Waiting => Numbers("--waiting", Small ? "1000" : "10000,1000000");

    public bool Peers => !Small || args.Contains("--peers") || Systems is not null;

    public TimeSpan Time => TimeSpan.FromSeconds(Fraction("--seconds", Small ? 0.03 : 2));

    /// <summary>
    /// What each system gets before it is measured, so that its code is compiled and its log has the length that it keeps. Queues get four times
    /// as much: there .NET compiles 19,000 methods, of the worker, its host and the driver, for seven seconds of one processor.
    /// </summary>
    public TimeSpan WarmUp => TimeSpan.FromSeconds(Fraction("--warmup-seconds", Small ? 0.01 : 3));

    /// <summary>A rest after that: runtimes compile what was found to be hot when nothing new comes for a while.</summary>
    public TimeSpan Rest => WarmUp >= TimeSpan.FromSeconds(1) ? TimeSpan.FromSeconds(1) : TimeSpan.Zero;

    /// <summary>
    /// How often systems measure for <see cref="Time"/> where they do so in turns: long enough for the processor's caches, which the others fill
    /// meanwhile, to be loaded in a small part of it.
    /// </summary>
    public int Turns => Number("--turns", Small ? 2 : 4);

    public TimeSpan IdleTime => TimeSpan.FromSeconds(Fraction("--idle-seconds", Small ? 1 : 60));

    public TimeSpan SoakTime => TimeSpan.FromMinutes(Fraction("--minutes", 10));

    public int Rounds => Number("--rounds", Small ? 1 : 3);

    /// <summary>Where databases are made.</summary>
    public string Folder => Value("--folder", null) ?? Path.GetTempPath();

    /// <summary>Where the lines of JSON go beside the tables.</summary>
    public string? Results => Value("--results", null);

    public IReadOnlyList<Case> Cases => Case.Parse(Value("--cases", "[]")!);

    /// <summary>The arguments of a process that measures cases of a system. Programs in other languages take the same.</summary>
    public string[] ForProcess(string system, string folder, IEnumerable<Case> cases) =>
    [
        "--systems", system, "--folder", folder, "--cases", Case.ToText(cases),
        "--seconds", Text(Time), "--warmup-seconds", Text(WarmUpOf(cases.First())), "--idle-seconds", Text(IdleTime), "--databases", cases.First().In.Database,
    ];

    private static string Text(TimeSpan time) => time.TotalSeconds.ToString(CultureInfo.InvariantCulture);

    private TimeSpan WarmUpOf(Case @case) => @case.Operation == "outbox" || QueueLoad.Knows(@case.Operation) || ProcessLoad.Warms(@case.Operation) ? 4 * WarmUp : WarmUp;

    private string? Value(string name, string? otherwise) => Array.IndexOf(args, name) is >= 0 and var at && at + 1 < args.Length ? args[at + 1] : otherwise;

    private int Number(string name, int otherwise) => (int)Fraction(name, otherwise);

    private double Fraction(string name, double otherwise) =>
        Value(name, null) is { } value ? double.Parse(value, CultureInfo.InvariantCulture) : otherwise;

    private IReadOnlyList<int> Numbers(string name, string otherwise) =>
        [.. Value(name, otherwise)!.Split(',').Select(static number => int.Parse(number, CultureInfo.InvariantCulture))];
}
