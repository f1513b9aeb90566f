using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Kv.Tests.Units;

public sealed class TestOptionsTests
{
    [Fact]
    public async Task Options_that_cannot_work_are_refused_by_name()
    {
        var patience = await Assert.ThrowsAsync<ArgumentException>(
            () => KvTestHost.StartAsync(static _ => { }, options: static options => options.Patience = TimeSpan.Zero));
        var most = await Assert.ThrowsAsync<ArgumentException>(
            () => KvTestHost.StartAsync(static _ => { }, options: static options => options.MaxDeliveries = 0));

        Assert.Contains("KvTestOptions.Patience is 00:00:00", patience.Message, StringComparison.Ordinal);
        Assert.Contains("KvTestOptions.MaxDeliveries is 0", most.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Commits_do_not_wait_for_the_disk_unless_the_test_says_so()
    {
        await using var relaxed = await KvTestHost.StartAsync(static _ => { });
        await using var full = await KvTestHost.StartAsync(
            static app => app.Services.Configure<KvStoreOptions>(static options => options.Durability = KvDurability.Full));

        Assert.Equal(KvDurability.Relaxed, relaxed.Services.GetRequiredService<IOptions<KvStoreOptions>>().Value.Durability);
        Assert.Equal(KvDurability.Full, full.Services.GetRequiredService<IOptions<KvStoreOptions>>().Value.Durability);
    }

    [Fact]
    public async Task A_time_that_is_negative_is_refused()
    {
        await using var kv = await KvTestHost.StartAsync(static _ => { });

        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => kv.AdvanceAsync(TimeSpan.FromTicks(-1)));
    }
}
