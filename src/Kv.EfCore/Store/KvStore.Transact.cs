using Kv.Connections;

namespace Kv.Store;

/// <summary>Blocks that run until no other write came between what they read and what they write.</summary>
internal sealed partial class KvStore
{
    public async ValueTask<T> TransactAsync<T>(
        Func<KvTransaction, CancellationToken, Task<T>> body, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(body);
        AmbientTransaction.RefuseWrite();
        cancellationToken.ThrowIfCancellationRequested();
        var backoff = Backoff.ForLocks(Engine.Options.CommandTimeout);
        while (true)
        {
            var transaction = new KvTransaction(this);
            T result;
            try
            {
                result = await (body(transaction, cancellationToken) ?? throw NoTask()).ConfigureAwait(false);
            }
            catch
            {
                transaction.Writes.Return();
                throw;
            }

            var commit = await CommitAsync(transaction.Writes.TakeBack(), cancellationToken).ConfigureAwait(false);
            if (commit.Succeeded)
            {
                return result;
            }

            if (!await backoff.WaitAsync(cancellationToken).ConfigureAwait(false))
            {
                throw new KvException(
                    KvErrorKind.Conflict,
                    $"Other writers came between for {Engine.Options.CommandTimeout.TotalSeconds:0.#} seconds; the last time at "
                    + $"{commit.FailedChecks[0].Key}. Nothing was written. Make the block shorter, or use Sum, Min and Max, which need no "
                    + "check.");
            }
        }
    }

    public async ValueTask TransactAsync(
        Func<KvTransaction, CancellationToken, Task> body, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(body);
        await TransactAsync(
            async (transaction, token) =>
            {
                await (body(transaction, token) ?? throw NoTask()).ConfigureAwait(false);
                return true;
            },
            cancellationToken).ConfigureAwait(false);
    }

    private static InvalidOperationException NoTask() => new(
        "The block of TransactAsync returned null instead of a Task, and nothing was written. Make it async, or return "
        + "Task.CompletedTask.");
}
