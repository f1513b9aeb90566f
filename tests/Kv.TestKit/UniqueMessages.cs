namespace Kv.TestKit;

/// <summary>Messages with the unique key <c>u</c> on the topic <c>job</c>, and whether it is taken.</summary>
public static class UniqueMessages
{
    public static KvEnqueueOptions Keep { get; } = new() { UniqueKey = "u" };

    public static KvEnqueueOptions Replace { get; } = Keep with { IfDuplicate = KvDuplicatePolicy.Replace };

    public static KvEnqueueOptions Refuse { get; } = Keep with { IfDuplicate = KvDuplicatePolicy.Refuse };

    /// <summary>Enqueues a message.</summary>
    /// <returns>The id of what is in the queue then: its own, or that of the message which was kept.</returns>
    public static async Task<string> EnqueueUniqueAsync(this KvTestStore test, int number, KvEnqueueOptions options) =>
        (await test.Store.EnqueueAsync(new Job(number), options)).MessageId;

    /// <summary>The key is taken by a message, as a writer with a policy meets it.</summary>
    public static async Task AssertTakenAsync(this KvTestStore test, string by, KvDuplicatePolicy ifDuplicate)
    {
        if (ifDuplicate == KvDuplicatePolicy.Keep)
        {
            Assert.Equal(by, await test.EnqueueUniqueAsync(-1, Keep));
            return;
        }

        var error = await Assert.ThrowsAsync<KvException>(() => test.EnqueueUniqueAsync(-1, Refuse));
        Assert.Equal(KvErrorKind.Duplicate, error.Kind);
    }

    /// <summary>No key is noted as taken.</summary>
    public static async Task AssertFreeAsync(this KvTestStore test) =>
        Assert.Equal(0, await test.Store.CountAsync(KvRange.Prefix(["efkv", "unique"])));
}
