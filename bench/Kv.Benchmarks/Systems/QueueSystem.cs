namespace Kv.Benchmarks.Systems;

/// <summary>A queue and its worker, as each system has them. A message carries a number.</summary>
public abstract class QueueSystem : IAsyncDisposable
{
    /// <summary>Makes an empty queue.</summary>
    public abstract Task SetUpAsync();

    /// <summary>Opens it without handling anything.</summary>
    public abstract Task OpenAsync();

    public abstract ValueTask EnqueueAsync(long message);

    /// <summary>Enqueues many at once; it is not measured.</summary>
    public abstract Task FillAsync(int messages);

    /// <summary>Puts messages beside those that are handled: half of them in another topic, half of them due in a day.</summary>
    public virtual Task WaitingAsync(int messages) => throw new NotSupportedException($"{GetType().Name} has no topics.");

    /// <summary>Has a worker handle what waits and what comes.</summary>
    public abstract Task StartAsync(Func<long, Task> handle);

    /// <summary>Has the worker take no more, until it is started again.</summary>
    public abstract Task StopAsync();

    /// <summary>Stops handling and closes what <see cref="OpenAsync"/> opened.</summary>
    public abstract Task CloseAsync();

    public virtual async ValueTask DisposeAsync()
    {
        await CloseAsync();
        GC.SuppressFinalize(this);
    }
}
