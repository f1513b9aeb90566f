using System.Text.Json;
using Kv.Control;
using Kv.Messages;
using Kv.Store;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests;

/// <summary>What a worker does with the queue, for tests that need none.</summary>
internal static class Claims
{
    public static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);

    /// <summary>Takes what is due of the topic <c>job</c>.</summary>
    public static async Task<IReadOnlyList<ClaimedMessage>> ClaimAsync(
        this KvTestStore test, int limit = 100, string owner = "me", bool recover = false, bool admit = false)
    {
        var claim = new ClaimWork([new TopicClaim("job", limit, Lease)], limit, owner) { Recover = recover, FindsSlots = admit };
        return await test.Engine.Queue.ClaimAsync(claim, CancellationToken.None);
    }

    /// <summary>Ends a message as a handler does that succeeds.</summary>
    public static async Task CompleteAsync(this KvTestStore test, ClaimedMessage message) =>
        Assert.True(await test.Engine.Queue.CompleteAsync(message, CancellationToken.None));

    /// <summary>Takes what is due, one message after the other, and ends each before the next.</summary>
    /// <returns>The numbers of the messages in the order in which they were taken.</returns>
    public static async Task<List<int>> HandleAsync(this KvTestStore test, bool admit = false)
    {
        List<int> numbers = [];
        while (await test.ClaimAsync(limit: 1, admit: admit) is [var message])
        {
            numbers.Add(JsonSerializer.Deserialize<Job>(message.Data)!.Number);
            await test.CompleteAsync(message);
        }

        return numbers;
    }

    /// <summary>Has what is due become dead letters, as a worker does when no attempt is left.</summary>
    public static async Task DieAsync(this KvTestStore test, params string[] topics)
    {
        var letters = new DeadLetters(test.Services.GetRequiredService<KvStore>());
        var claim = new ClaimWork([.. topics.Select(static topic => new TopicClaim(topic, 100, Lease))], 100, "me");
        foreach (var message in await test.Engine.Queue.ClaimAsync(claim, CancellationToken.None))
        {
            var keys = MessageColumns.ReadKeys(message, test.Engine.IsAdopted);
            var letter = letters.Letter(message, keys, last: null, "It cannot be done.", failedAttempts: 1);
            await test.Engine.Queue.CommitAsync(letters.Move(message, keys, letter, expiry: null).Write, CancellationToken.None);
        }
    }
}
