using System.Collections.Concurrent;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace Kv.TestKit;

/// <summary>Keeps what is logged, for tests that ask whether a user would learn of something.</summary>
public sealed class LogCollector
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly ConcurrentQueue<(LogLevel Level, int Event, string Text)> _entries = [];
    private readonly Channel<int> _written = Channel.CreateUnbounded<int>();

    public IReadOnlyCollection<(LogLevel Level, int Event, string Text)> Entries => [.. _entries];

    public ILoggerProvider CreateProvider() => new Provider(this);

    /// <summary>Waits until an event was logged so many times. One waiter at a time.</summary>
    public async Task WaitForAsync(int id, int times)
    {
        while (_entries.Count(entry => entry.Event == id) < times)
        {
            await _written.Reader.ReadAsync().AsTask().WaitAsync(Patience);
        }
    }

    private sealed class Provider(LogCollector collector) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            collector._entries.Enqueue((logLevel, eventId.Id, formatter(state, exception)));
            collector._written.Writer.TryWrite(eventId.Id);
        }

        public void Dispose()
        {
        }
    }
}
