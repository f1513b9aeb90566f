using Kv;

namespace WorkerApp;

/// <summary>Follows an import to its end: the store tells when a counter has changed, whichever process counted.</summary>
internal sealed class Progress(IKvStore store, ImportKeys keys, Settings settings, TimeProvider time)
{
    private readonly KvKey[] _watched =
    [
        keys.Position, keys.Handled, keys.Receipts, keys.LastUndelivered,
        .. settings.Watch ? Order.Currencies.Select(currency => keys.CurrencyTotals.Append(currency)) : [],
    ];

    /// <summary>Whether all orders of the input are accounted for.</summary>
    public async Task<bool> IsDoneAsync(CancellationToken cancellationToken) =>
        (await LookAsync(await store.GetManyAsync(_watched, cancellationToken), cancellationToken)).Done;

    /// <summary>Prints each change, and returns when all orders are accounted for.</summary>
    public async Task FollowAsync(CancellationToken cancellationToken)
    {
        await foreach (var entries in store.WatchAsync(_watched, cancellationToken))
        {
            var (line, done) = await LookAsync(entries, cancellationToken);
            Console.WriteLine(line);
            if (done)
            {
                return;
            }

            // The watch skips what changes in the meantime, but never the last state.
            await Task.Delay(settings.Progress, time, cancellationToken);
        }

        cancellationToken.ThrowIfCancellationRequested();
    }

    private async Task<(string Line, bool Done)> LookAsync(IReadOnlyList<KvEntry?> entries, CancellationToken cancellationToken)
    {
        var position = entries[0]?.As<ImportPosition>() ?? ImportPosition.Start;
        var (handled, receipts) = (entries[1]?.As<long>() ?? 0, entries[2]?.As<long>() ?? 0);
        var undelivered = entries[3] is null ? 0 : await store.CountAsync(KvRange.Prefix(keys.Undelivered), cancellationToken);
        var totals = entries.Skip(4).OfType<KvEntry>().Select(static total => $"{total.Key[^1].AsString()} {total.As<ulong>() / 100m:N2}");
        return (
            string.Join(" · ", [$"Handled {handled:N0} of {position.Orders:N0}, {undelivered:N0} undelivered, {receipts:N0} receipts", .. totals]),
            // Not ==: an order that is counted twice must end in a summary that says so, not in a wait for ever.
            position.Finished && handled + undelivered >= position.Orders && receipts >= handled);
    }
}
