using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Kv.Tests;

/// <summary>Keeps what is logged, for tests that ask whether a user would learn of something.</summary>
internal sealed class LogCollector
{
    private readonly ConcurrentQueue<(LogLevel Level, int Event, string Text)> _entries = [];

    public IReadOnlyCollection<(LogLevel Level, int Event, string Text)> Entries => [.. _entries];

    public ILoggerProvider CreateProvider() => new Provider(_entries);

    private sealed class Provider(ConcurrentQueue<(LogLevel Level, int Event, string Text)> entries) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            entries.Enqueue((logLevel, eventId.Id, formatter(state, exception)));

        public void Dispose()
        {
        }
    }
}
