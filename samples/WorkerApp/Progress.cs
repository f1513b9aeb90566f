using Kv;

namespace WorkerApp;

/// <summary>Follows an import to its end: the store tells when a counter has changed, whichever process counted.</summary>
internal sealed class Progress(IKvStore store, ImportKeys keys, Settings settings, TimeProvider time)
{
    /// <returns>When all orders are accounted for.</returns>
    public async Task FollowAsync(CancellationToken cancellationToken)
    {
        KvKey[] watched =
        [
            keys.Position, keys.Handled, keys.Receipts, keys.LastUndelivered,
            .. settings.Watch ? Order.Currencies.Select(currency => keys.CurrencyTotals.Append(currency)) : [],
        ];
        await foreach (var entries in store.WatchAsync(watched, cancellationToken))
        {
            var position = entries[0]?.As<ImportPosition>() ?? new(0, 0, false);
            var (handled, receipts) = (entries[1]?.As<long>() ?? 0, entries[2]?.As<long>() ?? 0);
            var undelivered = entries[3] is null ? 0 : await store.CountAsync(KvSelector.Prefix(keys.Undelivered), cancellationToken);
            var totals = entries.Skip(4).OfType<KvEntry>().Select(static total => $"{total.Key[^1].AsString()} {total.As<ulong>() / 100m:N2}");
            Console.WriteLine(string.Join(
                " · ", [$"Handled {handled:N0} of {position.Orders:N0}, {undelivered:N0} undelivered, {receipts:N0} receipts", .. totals]));
            if (position.Finished && handled + undelivered == position.Orders && receipts == handled)
            {
                return;
            }

            // States in between are skipped by the watch, the last one never is.
            await Task.Delay(settings.Progress, time, cancellationToken);
        }

        cancellationToken.ThrowIfCancellationRequested();
    }
}
