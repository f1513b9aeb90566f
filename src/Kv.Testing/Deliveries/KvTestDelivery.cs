using Kv.Handling;
using Microsoft.Extensions.DependencyInjection;

namespace Kv;

/// <summary>A message in the hands of a test: what a handler gets, for a handler that the test calls itself.</summary>
/// <remarks>
/// Context and store are real ones: what the handler commits is committed. The test's clock must not move by a lease until
/// <see cref="EndAsync"/>, since no worker keeps the lease. A message that is disposed of without it comes again when its lease has lapsed.
/// </remarks>
/// <typeparam name="T">The type of the message.</typeparam>
public sealed class KvTestDelivery<T> : IAsyncDisposable
{
    private readonly HeldMessage _held;
    private readonly MessageEnding _ending;
    private readonly AsyncServiceScope _scope;
    private readonly Func<HeldMessage, KvDelivery> _describe;
    private KvDelivery<T>? _end;

    internal KvTestDelivery(HeldMessage held, MessageEnding ending, AsyncServiceScope scope, Func<HeldMessage, KvDelivery> describe)
    {
        (_held, _ending, _scope, _describe) = (held, ending, scope, describe);
        Context = new KvMessageContext(held, scope.ServiceProvider);
        Message = Context.Read<T>();
    }

    /// <summary>The message, as it was read back from the queue.</summary>
    public T Message { get; }

    /// <summary>What the handler gets beside it.</summary>
    public KvMessageContext Context { get; }

    /// <summary>Does what a worker does when a handler has ended, and says what became of the message.</summary>
    /// <param name="error">What the handler threw; null if it returned.</param>
    /// <returns>The outcome. A second call returns that of the first.</returns>
    public async Task<KvDelivery<T>> EndAsync(Exception? error = null)
    {
        if (_end is null)
        {
            await _held.Handling.EndAsync().ConfigureAwait(false);
            await _ending.EndAsync(_held, error).ConfigureAwait(false);
            _end = new KvDelivery<T>(_describe(_held));
        }

        return _end;
    }

    /// <summary>Disposes of the message's scope of services.</summary>
    /// <returns>Done when that is done.</returns>
    public async ValueTask DisposeAsync()
    {
        await _scope.DisposeAsync().ConfigureAwait(false);
        await _held.DisposeAsync().ConfigureAwait(false);
    }
}
