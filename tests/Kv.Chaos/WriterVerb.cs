using System.Data.Common;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Chaos;

/// <summary>Commits the keys <c>["t", 1]</c>, <c>["t", 2]</c> and so on, and notes each one after its commit was answered.</summary>
internal sealed class WriterVerb(IKvStore store, Sink acknowledged, CancellationToken stopping)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    public static async Task<int> RunAsync(string[] arguments)
    {
        var migrate = Settings.Migrate(arguments);
        using var stop = new CancellationTokenSource();
        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            stop.Cancel();
        }

        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        var services = new ServiceCollection();
        services.AddLogging(static logging => logging.AddProvider(new LineLogging()));
        services.AddKvStore(Settings.Database());
        using var acknowledged = new Sink(Settings.Required("EFKV_ACK", "the path of the file that gets a line for each answered commit"));
        await using var provider = services.BuildServiceProvider();
        try
        {
            if (migrate)
            {
                await provider.MigrateKvStoreAsync(cancellationToken: stop.Token);
            }

            await new WriterVerb(provider.GetRequiredService<IKvStore>(), acknowledged, stop.Token).RunAsync();
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // That is how it ends.
        }

        return 0;
    }

    private static KvKey KeyOf(long number) => ["t", number];

    private async Task RunAsync()
    {
        // A writer that was killed goes on where its keys end.
        var number = await PersistAsync(HighestAsync) + 1;
        Console.WriteLine("READY");
        while (true)
        {
            stopping.ThrowIfCancellationRequested();
            if (await PersistAsync(() => CommitAsync(number)))
            {
                acknowledged.Write(Encoding.ASCII.GetBytes(FormattableString.Invariant($"{number}\n")));
            }

            number++;
        }
    }

    private async Task<long> HighestAsync()
    {
        var keys = store.ListKeysAsync(KvRange.Prefix(["t"]), new KvListOptions { Reverse = true, Limit = 1 }, stopping);
        return await keys.FirstOrDefaultAsync(stopping) is { } last ? last[^1].AsInt64() : 0;
    }

    /// <returns>Whether the store said that this commit took effect. False: the key is there, and nobody said which attempt put it there.</returns>
    private async Task<bool> CommitAsync(long number)
    {
        try
        {
            // The check makes it safe to repeat: what is there is not written a second time.
            return (await store.Atomic().Check(KeyOf(number), null).Set(KeyOf(number), number).CommitAsync(stopping)).Succeeded;
        }
        catch (KvCommitUnknownException unknown)
        {
            return await PersistAsync(async () => await store.ResolveAsync(unknown.OperationId, stopping)) is not null || await CommitAsync(number);
        }
    }

    /// <summary>Tries until the database answers. Tables that are missing do not appear by waiting, and end the program.</summary>
    private async Task<T> PersistAsync<T>(Func<Task<T>> attempt)
    {
        while (true)
        {
            try
            {
                return await attempt();
            }
            catch (Exception error) when (error is KvException { Kind: KvErrorKind.Unavailable } or DbException or IOException)
            {
                await Console.Error.WriteLineAsync($"Tried again: {error.Message.ReplaceLineEndings(" ")}");
                await Task.Delay(Pause, TimeProvider.System, stopping);
            }
        }
    }
}
