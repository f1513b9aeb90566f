using System.Globalization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Hosts;

/// <summary>Writes what is logged in a test as lines, with the times of the test's clock.</summary>
/// <param name="time">The test's clock.</param>
/// <param name="write">Takes a line.</param>
internal sealed class TestLogs(TimeProvider time, Action<string> write) : ILoggerProvider
{
    /// <summary>The variable of the environment that says from which level on.</summary>
    public const string Variable = "EFKV_LOG";

    /// <summary>Adds it, if the options or the environment ask for it.</summary>
    /// <exception cref="ArgumentException">The environment names no level.</exception>
    public static void Add(IServiceCollection services, KvTestOptions options, TimeProvider time)
    {
        if ((options.LogLevel ?? FromEnvironment()) is not { } level)
        {
            return;
        }

        services.AddLogging(logging => logging
            .SetMinimumLevel(level)
            .AddProvider(new TestLogs(time, options.Log ?? Console.Error.WriteLine))

            // EF Core says several lines of each statement; a trace shows them.
            .AddFilter<TestLogs>("Microsoft", level == LogLevel.Trace ? level : LogLevel.Warning));
    }

    /// <summary>What the environment asks for; null for nothing.</summary>
    /// <exception cref="ArgumentException">It names no level.</exception>
    private static LogLevel? FromEnvironment()
    {
        var text = Environment.GetEnvironmentVariable(Variable);
        return string.IsNullOrWhiteSpace(text) ? null
            : Enum.TryParse<LogLevel>(text, ignoreCase: true, out var level) && Enum.IsDefined(level) ? level
            : throw new ArgumentException(
                $"{Variable} is '{text}'; it must be one of {string.Join(", ", Enum.GetNames<LogLevel>()).ToLowerInvariant()}.");
    }

    public ILogger CreateLogger(string categoryName) => new Lines(this, categoryName);

    public void Dispose()
    {
        // Nothing is held.
    }

    private void Write(LogLevel level, string category, string message, Exception? error) => write(string.Create(
        CultureInfo.InvariantCulture,
        $"{Times.Text(time.GetUtcNow())} {level} {category}: {message}{(error is null ? "" : $"\n{error}")}"));

    private sealed class Lines(TestLogs logs, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            logs.Write(logLevel, category, formatter(state, exception), exception);
    }
}
