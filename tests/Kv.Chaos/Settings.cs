using System.Data.Common;
using System.Globalization;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Kv.Chaos;

/// <summary>The environment of a process that is tested from outside.</summary>
internal static class Settings
{
    public static string Name => Text("EFKV_NAME") switch
    {
        null => string.Create(CultureInfo.InvariantCulture, $"p{Environment.ProcessId}"),
        var name when name.Any(char.IsControl) => throw new UsageException("EFKV_NAME has control characters; it must fit between the tabs of a line."),
        var name => name,
    };

    /// <summary>Reads what may stand behind the verb.</summary>
    public static bool Migrate(string[] arguments) => arguments switch
    {
        [] => false,
        ["--migrate"] => true,
        _ => throw new UsageException($"--migrate can stand here and nothing else, all settings are variables of the environment; received '{string.Join(' ', arguments)}'."),
    };

    /// <summary>Chooses the database.</summary>
    public static Action<DbContextOptionsBuilder> Database()
    {
        var connection = Text("EFKV_CONNECTION") ?? throw new UsageException("EFKV_CONNECTION is not set. Give it a connection string, such as 'Data Source=app.db'.");
        return Text("EFKV_PROVIDER") switch
        {
            "sqlite" when Names("Data Source", Parsed(new SqliteConnectionStringBuilder())) => db => db.UseSqlite(connection),
            "postgres" when Names("Host", Parsed(new NpgsqlConnectionStringBuilder())) => db => db.UseNpgsql(connection),
            null => throw new UsageException("EFKV_PROVIDER is not set; it must be sqlite or postgres."),
            var other => throw new UsageException($"EFKV_PROVIDER is '{other}'; it must be sqlite or postgres."),
        };

        // The worker's loop outlives all errors of its database, so what can never work is found here.
        DbConnectionStringBuilder Parsed(DbConnectionStringBuilder builder)
        {
            try
            {
                builder.ConnectionString = connection;
                return builder;
            }
            catch (Exception error) when (error is ArgumentException or FormatException or InvalidCastException)
            {
                throw new UsageException($"EFKV_CONNECTION is not a connection string of this provider: {error.Message}");
            }
        }

        static bool Names(string part, DbConnectionStringBuilder builder) =>
            builder.TryGetValue(part, out var value) && value is string { Length: > 0 }
                ? true
                : throw new UsageException($"EFKV_CONNECTION names no database; it must have a part '{part}=...'.");
    }

    /// <summary>Sets the options that the environment names; the others keep their defaults.</summary>
    public static void Apply(KvWorkerOptions options)
    {
        options.Lease = Milliseconds("EFKV_LEASE_MS") ?? options.Lease;
        options.HeartbeatInterval = Milliseconds("EFKV_HEARTBEAT_MS") ?? options.HeartbeatInterval;
        options.RecoverInterval = Milliseconds("EFKV_SWEEP_MS") ?? options.RecoverInterval;
        options.PollInterval = Milliseconds("EFKV_POLL_MS") ?? options.PollInterval;
        options.ShutdownTimeout = Milliseconds("EFKV_SHUTDOWN_MS") ?? options.ShutdownTimeout;
        options.Concurrency = Text("EFKV_CONCURRENCY") is { } text
            ? int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw Wrong("EFKV_CONCURRENCY", text, "a whole number")
            : options.Concurrency;
    }

    /// <summary>How long a handler works.</summary>
    public static (TimeSpan Least, TimeSpan Most) Work()
    {
        var text = Text("EFKV_WORK_MS") ?? "0,0";
        return text.Split(',') is [var lo, var hi] && Parse(lo) is { } least && Parse(hi) is { } most && least <= most
            ? (TimeSpan.FromMilliseconds(least), TimeSpan.FromMilliseconds(most))
            : throw Wrong("EFKV_WORK_MS", text, "two numbers of milliseconds, the lesser first, such as 5,50");

        static double? Parse(string number) => double.TryParse(number, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value) ? value : null;
    }

    /// <summary>How likely a handler fails.</summary>
    public static double FailProbability()
    {
        var text = Text("EFKV_FAIL_P") ?? "0";
        return double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var p) && p is >= 0 and <= 1
            ? p
            : throw Wrong("EFKV_FAIL_P", text, "a number from 0 to 1");
    }

    /// <summary>Where a worker notes what it does; null for nowhere.</summary>
    public static Sink? OpenSink() => Text("EFKV_SINK") switch
    {
        null => null,
        ['f', 'i', 'l', 'e', ':', .. { Length: > 0 } path] => new Sink(path),
        var other => throw Wrong("EFKV_SINK", other, "file:PATH"),
    };

    /// <summary>The step of a unit of work at which the process kills itself, and the number of that unit; null for never.</summary>
    public static (string Step, int Unit)? Step() => Text("EFKV_KILL_AT") switch
    {
        null => null,
        var text when text.Split(',') is [var step, var unit] && Suicide.Steps.Contains(step)
            && int.TryParse(unit, NumberStyles.None, CultureInfo.InvariantCulture, out var number) => (step, number),
        var text => throw Wrong("EFKV_KILL_AT", text, $"one of {string.Join(", ", Suicide.Steps)}, and the number of a unit, such as saved,3"),
    };

    /// <summary>How many units of work run at the same time.</summary>
    public static int Callers => Text("EFKV_CALLERS") switch
    {
        null => 1,
        var text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw Wrong("EFKV_CALLERS", text, "a whole number from 1 on"),
    };

    /// <summary>Whether the process that enqueues messages handles them as well.</summary>
    public static bool Handles => Text("EFKV_HANDLES") is "1";

    public static string Required(string name, string example) =>
        Text(name) ?? throw new UsageException($"{name} is not set. Give it {example}.");

    private static string? Text(string name) => Environment.GetEnvironmentVariable(name) is { Length: > 0 } text ? text : null;

    private static TimeSpan? Milliseconds(string name) => Text(name) is not { } text ? null
        : double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value) && value < TimeSpan.FromDays(1).TotalMilliseconds
            ? TimeSpan.FromMilliseconds(value)
            : throw Wrong(name, text, "a number of milliseconds below a day");

    private static UsageException Wrong(string name, string text, string rule) => new($"{name} is '{text}'; it must be {rule}.");
}
