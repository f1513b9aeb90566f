namespace Kv.Chaos;

/// <summary>One worker, configured by its environment alone: its handler waits, may fail, and notes what it does.</summary>
internal static class WorkerVerb
{
    public static async Task<int> RunAsync(string[] arguments)
    {
        var migrate = Settings.Migrate(arguments);
        var (name, work, fail) = (Settings.Name, Settings.Work(), Settings.FailProbability());
        using var sink = Settings.OpenSink();
        return await WorkerHost.RunAsync(
            // The empty topic is that of rows which programs without topics put in.
            worker => worker.HandleTopic("", HandleAsync), migrate);

        async Task HandleAsync(KvMessageContext context, CancellationToken token)
        {
            var end = "cancel";
            sink?.Write('D', name, context.Payload.Bytes.Span, context.Attempt, "-");
            try
            {
                await Task.Delay(work.Least + ((work.Most - work.Least) * Random.Shared.NextDouble()), TimeProvider.System, token);
                end = "fail";
                if (Random.Shared.NextDouble() < fail)
                {
                    throw new InvalidOperationException("EFKV_FAIL_P: this attempt was to fail.");
                }

                end = "ok";
            }
            finally
            {
                sink?.Write('E', name, context.Payload.Bytes.Span, context.Attempt, end);
            }
        }
    }
}
