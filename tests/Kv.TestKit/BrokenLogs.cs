using Microsoft.Extensions.Logging;

namespace Kv.TestKit;

/// <summary>A logging provider that throws at every line of the store's and the worker's, and counts them; at scopes where they begin or end.</summary>
public sealed class BrokenLogs(bool scopesBegin = false) : ILoggerProvider
{
    private int _count;

    public int Count => Volatile.Read(ref _count);

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName.StartsWith("Kv", StringComparison.Ordinal), scopesBegin);

    public void Dispose()
    {
    }

    private sealed class Logger(BrokenLogs logs, bool broken, bool scopesBegin) : ILogger, IDisposable
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => !broken ? null : scopesBegin ? this : throw new IOException("No space left on device.");

        public void Dispose() => throw new IOException("No space left on device.");

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (broken)
            {
                Interlocked.Increment(ref logs._count);
                throw new IOException("No space left on device.");
            }
        }
    }
}
