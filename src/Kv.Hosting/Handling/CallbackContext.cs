using System.Runtime.CompilerServices;

namespace Kv.Handling;

/// <summary>
/// Notices a callback that is <c>async void</c>: nothing could wait for it, and what it does after its first await would come too late.
/// </summary>
internal sealed class CallbackContext : SynchronizationContext
{
    private static readonly CallbackContext Instance = new();

    [ThreadStatic]
    private static bool _started;

    private CallbackContext()
    {
    }

    /// <summary>Runs a callback to its end.</summary>
    /// <exception cref="InvalidOperationException">The callback is asynchronous.</exception>
    public static void Run(Action<KvAtomic> callback, KvAtomic write)
    {
        var (around, started) = (Current, _started);
        _started = false;
        SetSynchronizationContext(Instance);
        try
        {
            callback(write);
            if (_started && callback.Method.IsDefined(typeof(AsyncStateMachineAttribute), inherit: false))
            {
                throw new InvalidOperationException(
                    "The callback of CompleteAsync is asynchronous, and nothing waits for it: what it adds after its first "
                    + "await would be lost. Nothing was written. Await before, and call CompleteAsync with what came of it.");
            }
        }
        finally
        {
            SetSynchronizationContext(around);
            _started = started;
        }
    }

    public override SynchronizationContext CreateCopy() => this;

    /// <summary>The compiler's code for <c>async void</c> calls this, on the thread that began it.</summary>
    public override void OperationStarted() => _started = true;

    /// <summary>Goes on with what was refused. What it throws goes nowhere: the caller was told of the refusal.</summary>
    public override void Post(SendOrPostCallback d, object? state) => ThreadPool.UnsafeQueueUserWorkItem(
        static work =>
        {
            try
            {
                work.d(work.state);
            }
            catch (Exception)
            {
                // Else it would end the process.
            }
        },
        (d, state),
        preferLocal: false);
}
