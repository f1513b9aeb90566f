namespace WorkerApp;

/// <summary>The arguments, which are configuration under shorter names.</summary>
internal static class CommandLine
{
    public const string Help = """
        Counts orders exactly once, with a queue in a database: imports JSON lines, handles them, and checks the totals against its input.

          --provider sqlite|postgres   the database; default: sqlite
          --connection TEXT            its connection string; default: Data Source=workerapp.db, in the current directory
          --orders FILE                the orders, one JSON object a line; - for standard input; default: the 2,500 of the sample
          --watch                      show the totals of each currency while they grow
          --SECTION:NAME VALUE         any other setting, such as --Kv:Worker:Concurrency 50;
                                       --Logging:LogLevel:Kv.Worker=Warning shows each retry and each undelivered order
          --help                       this text

        Kill it whenever you like, and start it again with the same arguments: it goes on where it was.
        Exit code: 0 the summary agrees with the input, 1 it does not or the run was stopped, 2 it could not run.
        """;

    public static readonly Dictionary<string, string> Switches = new(StringComparer.OrdinalIgnoreCase)
    {
        ["--provider"] = "WorkerApp:Provider",
        ["--connection"] = "WorkerApp:Connection",
        ["--orders"] = "WorkerApp:Orders",
        ["--watch"] = "WorkerApp:Watch",
        // What dotnet ef says when it starts the program to find its context.
        ["--applicationName"] = "applicationName",
    };

    /// <summary>The arguments as pairs: --watch stands for --watch=true.</summary>
    /// <exception cref="ArgumentException">An argument is not known: taken silently, a misspelt one would choose the wrong database.</exception>
    public static string[] Parse(string[] args)
    {
        var parsed = new List<string>();
        for (var i = 0; i < args.Length; i++)
        {
            var name = args[i].Split('=')[0];
            if (!Switches.ContainsKey(name) && !(name.StartsWith("--", StringComparison.Ordinal) && name.Contains(':')))
            {
                throw new ArgumentException($"The argument '{args[i]}' is not known. See --help.");
            }

            if (args[i] == "--watch")
            {
                parsed.Add("--watch=true");
            }
            else if (name != args[i])
            {
                parsed.Add(args[i]);
            }
            else if (++i < args.Length)
            {
                parsed.Add($"{name}={args[i]}");
            }
            else
            {
                throw new ArgumentException($"The argument '{name}' needs a value. See --help.");
            }
        }

        return [.. parsed];
    }
}
