namespace Kv.Tests.Units;

/// <summary>All hosts of the process read the variable of the environment, so these tests run beside no others.</summary>
[CollectionDefinition(nameof(LogVariableTests), DisableParallelization = true)]
[Collection(nameof(LogVariableTests))]
public sealed class LogVariableTests
{
    [Fact]
    public async Task The_environment_says_from_which_level_on_is_logged()
    {
        List<string> lines = [];
        var error = await Assert.ThrowsAsync<ArgumentException>(() => StartAsync("loud"));
        Assert.Contains("EFKV_LOG is 'loud'; it must be one of trace, debug", error.Message, StringComparison.Ordinal);
        await using (var kv = await StartAsync("debug"))
        {
            await kv.Store.EnqueueAsync(new Mail("ada"), cancellationToken: TestContext.Current.CancellationToken);
            await kv.DrainAsync(TestContext.Current.CancellationToken);
        }

        Assert.Contains(lines, static line => line.Contains(" Debug Kv.Worker: ", StringComparison.Ordinal));

        async Task<KvTestHost> StartAsync(string level)
        {
            Environment.SetEnvironmentVariable("EFKV_LOG", level);
            try
            {
                return await KvTestHost.StartAsync(
                    static app => app.Handle<Mail>(static (_, _, _) => Task.CompletedTask),
                    options: options => options.Log = line =>
                    {
                        lock (lines)
                        {
                            lines.Add(line);
                        }
                    });
            }
            finally
            {
                Environment.SetEnvironmentVariable("EFKV_LOG", null);
            }
        }
    }
}
