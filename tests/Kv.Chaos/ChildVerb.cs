using System.Text.Json;

namespace Kv.Chaos;

/// <summary>A worker of a run: each message has an effect through CompleteAsync, and one outside of it.</summary>
internal static class ChildVerb
{
    public static async Task<int> RunAsync()
    {
        var (name, work) = (Settings.Name, Settings.Work());
        _ = Task.Run(EndWithDriver);
        using var sink = Settings.OpenSink() ?? throw new UsageException("EFKV_SINK is not set.");
        return await WorkerHost.RunAsync(
            worker => worker.Handle<ChaosMessage>(HandleAsync), migrate: false);

        async Task HandleAsync(ChaosMessage message, KvMessageContext context, CancellationToken token)
        {
            var payload = JsonSerializer.SerializeToUtf8Bytes(message, JsonSerializerOptions.Web);
            var end = "cancel";
            sink.Write('D', name, payload, context.Attempt, "-");
            try
            {
                if (work.Most > TimeSpan.Zero)
                {
                    await Task.Delay(work.Least + ((work.Most - work.Least) * Random.Shared.NextDouble()), TimeProvider.System, token);
                }

                end = "fail";
                if (message.Kind == ChaosKind.Dead || (message.Kind == ChaosKind.Flaky && context.Attempt == 1))
                {
                    throw new InvalidOperationException("This attempt was to fail.");
                }

                end = "ok";
            }
            finally
            {
                sink.Write('E', name, payload, context.Attempt, end);
            }

            // Noted before, since once it is committed the next one of the group may begin elsewhere.
            await CompleteAsync(message, context, token);
        }
    }

    // However the driver ends, its end of the pipe closes then: no worker outlives a run.
    internal static void EndWithDriver()
    {
        while (Console.In.Read() >= 0)
        {
            // Nobody writes.
        }

        Environment.Exit(1);
    }

    private static async Task CompleteAsync(ChaosMessage message, KvMessageContext context, CancellationToken token)
    {
        if (message.Key is null)
        {
            await context.CompleteAsync(write => write.Sum(["effect", message.Id], 1), token);
            return;
        }

        // The last one of the group is noted in the same commit: if another one is there than the one before, the order was broken.
        KvKey key = ["last", message.Key];
        var last = await context.Store.GetAsync(key, token);
        var before = last?.As<long>() ?? 0;
        var result = await context.CompleteAsync(
            write =>
            {
                write.Check(key, last?.Versionstamp).Set(key, message.Sequence).Sum(["effect", message.Id], 1);
                if (before != message.Sequence - 1)
                {
                    write.Set(["disorder", message.Key, message.Sequence], before);
                }
            },
            token);
        if (!result.Succeeded)
        {
            // Somebody who has lost the lease was quicker, or is still at it: the message comes again, or it is done.
            throw new InvalidOperationException("Another one of the group came between.");
        }
    }
}
