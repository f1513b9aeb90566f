using System.Globalization;

namespace Kv.Chaos;

/// <summary>How large a run is.</summary>
internal sealed record ChaosOptions
{
    public string Provider { get; private init; } = "sqlite";

    public int Messages { get; private init; }

    /// <summary>For how long messages are enqueued and faults are made.</summary>
    public TimeSpan Duration { get; private init; } = TimeSpan.FromSeconds(30);

    public int Workers { get; private init; }

    public int Kills { get; private init; } = 10;

    public int Seed { get; private init; }

    public TimeSpan Lease { get; } = TimeSpan.FromSeconds(2);

    public static ChaosOptions Parse(string[] arguments)
    {
        var options = new ChaosOptions { Seed = Random.Shared.Next(1, 1_000_000) };
        for (var i = 0; i < arguments.Length; i += 2)
        {
            var (name, value) = (arguments[i], i + 1 < arguments.Length ? arguments[i + 1] : throw new UsageException($"{arguments[i]} has no value."));
            options = name switch
            {
                "--provider" when value is "sqlite" or "postgres" => options with { Provider = value },
                "--messages" => options with { Messages = Number(name, value) },
                "--seconds" => options with { Duration = TimeSpan.FromSeconds(Number(name, value)) },
                "--workers" => options with { Workers = Number(name, value) },
                "--kills" => options with { Kills = Number(name, value, 0) },
                "--seed" => options with { Seed = Number(name, value) },
                _ => throw new UsageException($"'{name} {value}' is not an option. They are --provider sqlite|postgres, --messages, --seconds, --workers, --kills, --seed."),
            };
        }

        return options with
        {
            Messages = options.Messages > 0 ? options.Messages : options.Provider == "sqlite" ? 6_000 : 20_000,
            Workers = options.Workers > 0 ? options.Workers : options.Provider == "sqlite" ? 3 : 4,
        };
    }

    private static int Number(string name, string value, int least = 1) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least
            ? number
            : throw new UsageException($"{name} is '{value}'; it must be a whole number from {least} on.");
}
