using Microsoft.Extensions.Logging;

namespace Kv.Diagnostics;

/// <summary>A logger whose failures stay its own.</summary>
/// <remarks>
/// Providers do throw: a disk is full, a queue was disposed of. Out of a line between a commit and its answer that would become the answer of
/// a write, and on a thread of the engine's own the end of the process.
/// </remarks>
internal sealed class UnfailingLogger(ILogger logger) : ILogger
{
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull
    {
        try
        {
            return logger.BeginScope(state) is { } scope ? new Scope(scope) : null;
        }
        catch (Exception)
        {
            // What is logged goes without it.
            return null;
        }
    }

    public bool IsEnabled(LogLevel logLevel)
    {
        try
        {
            return logger.IsEnabled(logLevel);
        }
        catch (Exception)
        {
            // A logger that cannot say is not asked to log.
            return false;
        }
    }

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        try
        {
            logger.Log(logLevel, eventId, state, exception, formatter);
        }
        catch (Exception)
        {
            // There is nothing to tell it to.
        }
    }

    private sealed class Scope(IDisposable scope) : IDisposable
    {
        public void Dispose()
        {
            try
            {
                scope.Dispose();
            }
            catch (Exception)
            {
                // There is nothing to tell it to here either: what was in the scope is done.
            }
        }
    }
}
