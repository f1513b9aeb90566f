using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Chaos;

/// <summary>Commits the keys <c>["t", 1]</c>, <c>["t", 2]</c> and so on, and notes each one after its commit was answered.</summary>
internal static class WriterVerb
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    public static async Task<int> RunAsync()
    {
        var services = new ServiceCollection();
        services.AddLogging(static logging => logging.SetMinimumLevel(LogLevel.Warning).AddConsole(static console => console.LogToStandardErrorThreshold = LogLevel.Trace));
        services.AddKvStore(Settings.Database());
        using var acknowledged = new Sink(Settings.Required("EFKV_ACK", "the path of the file that gets a line for each answered commit"));
        await using var provider = services.BuildServiceProvider();
        var store = provider.GetRequiredService<IKvStore>();

        using var stop = new CancellationTokenSource();
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);

        // A writer that was killed goes on where its keys end.
        var last = await store.ListKeysAsync(KvSelector.Prefix(["t"]), new KvListOptions { Reverse = true, Limit = 1 }).FirstOrDefaultAsync();
        Console.WriteLine("READY");
        for (var i = last is null ? 1 : last[1].AsInt64() + 1; !stop.IsCancellationRequested; i++)
        {
            if (await CommitAsync(store, i, stop.Token))
            {
                acknowledged.Write(Encoding.ASCII.GetBytes(FormattableString.Invariant($"{i}\n")));
            }
        }

        return 0;

        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            stop.Cancel();
        }
    }

    /// <returns>Whether the commit was answered; false only when it is time to stop.</returns>
    private static async Task<bool> CommitAsync(IKvStore store, long i, CancellationToken stop)
    {
        KvOperationId? unknown = null;
        while (!stop.IsCancellationRequested)
        {
            try
            {
                if (unknown is { } operation)
                {
                    if (await store.ResolveAsync(operation, CancellationToken.None) is not null)
                    {
                        return true;
                    }

                    unknown = null;
                }

                await store.SetAsync(["t", i], i, cancellationToken: CancellationToken.None);
                return true;
            }
            catch (KvCommitUnknownException error)
            {
                unknown = error.OperationId;
            }
            catch (KvException error) when (error.Kind is KvError.Unavailable)
            {
                // Nothing was written, or nobody can be asked yet.
                await Task.Delay(Pause, TimeProvider.System, CancellationToken.None);
            }
        }

        return false;
    }
}
