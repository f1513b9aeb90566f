using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Kv.Chaos;

/// <summary>Writes what the store and the worker log to standard error, a line each: a run logs thousands of expected errors, whose stacks nobody reads.</summary>
internal sealed class LineLogging : ILoggerProvider, ILogger
{
    // What EF Core and the host log comes again in the errors of the store and in this program's last line.
    public ILogger CreateLogger(string categoryName) => categoryName.StartsWith("Kv", StringComparison.Ordinal) ? this : NullLogger.Instance;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
        {
            return;
        }

        var text = formatter(state, null);
        for (var error = exception; error is not null; error = error.InnerException)
        {
            text += $" <- {error.GetType().Name}: {error.Message}";
        }

        Console.Error.WriteLine($"{TimeProvider.System.GetUtcNow():HH:mm:ss.fff} {logLevel} {eventId.Id} {text.ReplaceLineEndings(" ")}");
    }

    public void Dispose()
    {
        // Standard error is not this provider's to close.
    }
}
