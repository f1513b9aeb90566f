using System.Runtime.InteropServices;

namespace Kv.Platform;

/// <summary>The system's wishes that a process stop, received for as long as this is not disposed of.</summary>
/// <remarks>
/// On Unix Ctrl+C and <c>kill</c> (SIGINT, SIGTERM). On Windows Ctrl+C, and the shutdown of the system, which .NET hands on under the same
/// names; after that Windows gives a process some seconds, whatever it does with the wish.
/// </remarks>
internal sealed class StopSignals : IDisposable
{
    private readonly PosixSignalRegistration _interrupt;
    private readonly PosixSignalRegistration _terminate;

    /// <param name="received">What is done with each of them; the process is not ended by it.</param>
    public StopSignals(Action received)
    {
        _interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal);
        _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal);

        void OnSignal(PosixSignalContext signal)
        {
            signal.Cancel = true;
            received();
        }
    }

    public void Dispose()
    {
        _interrupt.Dispose();
        _terminate.Dispose();
    }
}
