using System.Globalization;

namespace Kv.Simulated;

/// <summary>What is run.</summary>
public sealed record SimulationOptions
{
    /// <summary>The first seed.</summary>
    public int First { get; init; } = 1;

    /// <summary>How many seeds.</summary>
    public int Count { get; init; } = 200;

    /// <summary>How many steps of each, before all comes to an end.</summary>
    public int Steps { get; init; } = 60;

    /// <summary>Where the databases come from.</summary>
    public KvTestDatabase Database { get; init; } = KvTestDatabase.Sqlite;

    /// <summary>How a command names the database.</summary>
    public string Provider { get; init; } = "sqlite";

    /// <summary>Whether the whole log of each seed is written.</summary>
    public bool IsVerbose { get; init; }

    /// <summary>Whether something is written behind the model's back in the middle, which must be found.</summary>
    public bool Tampers { get; init; }

    /// <summary>Reads the arguments of the command.</summary>
    /// <exception cref="ArgumentException">They make no sense.</exception>
    public static SimulationOptions Parse(IReadOnlyList<string> args)
    {
        ArgumentNullException.ThrowIfNull(args);
        var options = new SimulationOptions();
        var connection = Environment.GetEnvironmentVariable("EFKV_TEST_POSTGRES");
        for (var i = 0; i < args.Count; i++)
        {
            options = args[i] switch
            {
                "--seed" => options with { First = Number(), Count = 1, IsVerbose = true },
                "--seeds" => options with { Count = Number() },
                "--from" => options with { First = Number() },
                "--steps" => options with { Steps = Number() },
                "--provider" => options with { Provider = Value() },
                "--connection" => options with { Provider = SetConnection(Value()) },
                _ => throw new ArgumentException(
                    $"'{args[i]}' is no argument. There are --seeds N, --from N, --seed N, --steps N, --provider sqlite|postgres, and "
                    + "--connection TEXT."),
            };

            string Value() => ++i < args.Count ? args[i] : throw new ArgumentException($"{args[i - 1]} needs a value.");

            int Number() => int.TryParse(Value(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
                ? number
                : throw new ArgumentException($"'{args[i]}' is no number from 1.");
        }

        return options.Provider switch
        {
            "sqlite" => options,
            "postgres" when connection is { Length: > 0 } => options with { Database = KvTestDatabase.PostgreSql(connection) },
            "postgres" => throw new ArgumentException(
                "For PostgreSQL say --connection, or set EFKV_TEST_POSTGRES, to a database that is there."),
            var other => throw new ArgumentException($"'{other}' is no provider. There are sqlite and postgres."),
        };

        string SetConnection(string text)
        {
            connection = text;
            return "postgres";
        }
    }
}
