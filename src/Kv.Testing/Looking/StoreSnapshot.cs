using System.Text;
using Kv.Messages;
using Kv.Store;
using Microsoft.EntityFrameworkCore;

namespace Kv.Looking;

/// <summary>What is in a store, as text.</summary>
internal static class StoreSnapshot
{
    public static async Task<string> TakeAsync(KvStore store, KvRange range, CancellationToken cancellationToken)
    {
        var context = store.Engine.CreateContext();
        await using (context.ConfigureAwait(false))
        {
            var expiries = await context.Entries.AsNoTracking().Where(static row => row.ExpiresAt >= 0)
                .ToDictionaryAsync(static row => KvKey.FromStored(row.Key), static row => row.ExpiresAt, cancellationToken)
                .ConfigureAwait(false);
            List<string> entries = [];
            await foreach (var entry in store.ListAsync(range, cancellationToken: cancellationToken).ConfigureAwait(false))
            {
                if (!IsOwn(store, entry.Key))
                {
                    var expires = expiries.TryGetValue(entry.Key, out var at) ? $", expires {StoreTexts.Time(at)}" : "";
                    entries.Add($"{entry.Key} = {StoreTexts.Of(entry.Value)}{expires}");
                }
            }

            var queued = await context.QueuedMessages.AsNoTracking().OrderBy(static row => row.DueAt).ThenBy(static row => row.Id)
                .ToListAsync(cancellationToken).ConfigureAwait(false);
            var running = await context.RunningMessages.AsNoTracking().OrderBy(static row => row.Id)
                .ToListAsync(cancellationToken).ConfigureAwait(false);
            var text = new StringBuilder();
            Append(text, "entries", entries);
            Append(text, "queue", queued.Select(StoreTexts.Of));
            Append(text, "running", running.Select(StoreTexts.Of));
            Append(text, "dead letters", new QueueAssertions(store).Letters().Select(StoreTexts.Of));
            return text.ToString();
        }
    }

    // What the store keeps for itself has numbers of chance in it, and dead letters have a part of their own.
    private static bool IsOwn(KvStore store, KvKey key) =>
        key.StartsWith(store.Engine.Options.DeadLetters) || key.StartsWith(KvKey.Create(QueueKeys.Prefix));

    private static void Append(StringBuilder text, string title, IEnumerable<string> lines)
    {
        text.Append(title).Append('\n');
        foreach (var line in lines)
        {
            text.Append("  ").Append(line).Append('\n');
        }
    }
}
