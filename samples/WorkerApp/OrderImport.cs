using Kv;

namespace WorkerApp;

/// <summary>Brings the orders of an input into the queue, and follows them to their end, whichever process handles them.</summary>
internal sealed class OrderImport(IKvStore store, OrderInput input, IConfiguration settings, TimeProvider time)
{
    // An atomic write takes at most 1,000 mutations and messages.
    private const int BatchSize = 250;

    private readonly ImportKeys _keys = new(input.Fingerprint);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        KvKey[] watched =
        [
            _keys.Handled, _keys.Receipts, _keys.LastUndelivered,
            .. settings.GetValue<bool>("Watch") ? Order.Currencies.Select(currency => _keys.CurrencyTotals.Append(currency)) : [],
        ];
        if (await LookAsync(await store.GetManyAsync(watched, cancellationToken), cancellationToken))
        {
            Console.WriteLine("Everything is already done.");
            return;
        }

        await EnqueueAsync(cancellationToken);
        await foreach (var entries in store.WatchAsync(watched, cancellationToken))
        {
            if (await LookAsync(entries, cancellationToken))
            {
                return;
            }

            // The watch skips what changes in the meantime, but never the last state.
            await Task.Delay(settings.GetValue<TimeSpan>("Progress"), time, cancellationToken);
        }

        // The watch ends without an exception when it is cancelled.
        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <summary>Enqueues each order exactly once, however often it is started and wherever it was killed.</summary>
    private async Task EnqueueAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var position = await store.GetAsync(_keys.Position, cancellationToken);
            var imported = position?.As<int>() ?? 0;
            Console.WriteLine($"Imported {imported:N0} orders.");
            if (imported == input.Orders.Count)
            {
                return;
            }

            // The position moves in the commit that enqueues the orders behind it: a crash comes before both, or after both.
            var batch = input.Orders.Skip(imported).Take(BatchSize).ToList();
            var write = store.Atomic().Check(_keys.Position, position?.Versionstamp).Set(_keys.Position, imported + batch.Count);
            foreach (var order in batch)
            {
                write.Enqueue(new OrderPlaced(input.Fingerprint, order), new KvEnqueueOptions
                {
                    BackoffSchedule = Order.Retries,
                    KeysIfUndelivered = [_keys.Undelivered.Append(order.Id), _keys.LastUndelivered],
                });
            }

            // The check refuses it when another process, with the same input, was first. Either way, go on from where the import is.
            await write.CommitAsync(cancellationToken);
        }
    }

    /// <summary>Prints what has become of the orders, and tells whether all of them are accounted for.</summary>
    private async Task<bool> LookAsync(IReadOnlyList<KvEntry?> watched, CancellationToken cancellationToken)
    {
        var (handled, receipts) = (watched[0]?.As<long>() ?? 0, watched[1]?.As<long>() ?? 0);
        var undelivered = await store.CountAsync(KvRange.Prefix(_keys.Undelivered), cancellationToken);
        var sums = watched.Skip(3).OfType<KvEntry>().Select(static sum => $" · {sum.Key[^1].AsString()} {sum.As<ulong>() / 100m:N2}");
        var total = input.Orders.Count;
        Console.WriteLine($"Handled {handled:N0} of {total:N0}, {undelivered:N0} undelivered, {receipts:N0} receipts{string.Concat(sums)}");
        // Not ==: an order that is counted twice must end in a summary that says so, not in a wait for ever.
        return handled + undelivered >= total && receipts >= handled;
    }
}
