namespace Kv.Connections;

/// <summary>A token for the driver, which is cancelled soon after another one, by a thread of the pool.</summary>
/// <remarks>
/// The driver does much of its cancelling inside the call that cancels: it connects to the server, which on a silent network takes as long as
/// the network likes, and it was seen to throw when its connection broke at that moment. Neither is for what cancels: a timer, for which
/// an exception ends the process, or a host that stops.
/// </remarks>
internal sealed class Interruption : IDisposable
{
    // Never disposed of: it has no timer and no handle, and the thread of the pool may come after the end.
    private readonly CancellationTokenSource _driver = new();
    private readonly CancellationTokenRegistration _registration;

    public Interruption(CancellationToken cause) =>
        _registration = cause.UnsafeRegister(static interruption => _ = Detached.RunAsync(((Interruption)interruption!).CancelAsync), this);

    public CancellationToken Token => _driver.Token;

    public void Dispose() => _registration.Dispose();

    private Task CancelAsync()
    {
        try
        {
            _driver.Cancel();
        }
        catch (AggregateException)
        {
            // The driver failed at cancelling. What it did meanwhile fails by itself, where it is waited for.
        }

        return Task.CompletedTask;
    }
}
