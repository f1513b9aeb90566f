using Kv.Commits;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Messages;
using Microsoft.EntityFrameworkCore;

namespace Kv.Store;

// How its writes are committed, and what their callers are told.
internal sealed partial class KvStore
{
    /// <param name="write">The write.</param>
    /// <param name="cancellationToken">Gives up while the write waits.</param>
    /// <param name="durability">How durable its commit is; null for what the store's options say.</param>
    public ValueTask<AtomicOutcome> SubmitAsync(AtomicWrite write, CancellationToken cancellationToken, KvDurability? durability = null)
    {
        AmbientTransaction.RefuseWrite();
        var outcome = CallAsync(
            "commit",

            // The time in which the store is opened is part of its caller's.
            (Write: write, Durability: durability, AskedAt: TimeProvider.System.GetTimestamp()),
            static (engine, of, token) => engine.Pipeline.SubmitAsync(
                new AtomicWork(of.Write) { Durability = of.Durability, AskedAt = of.AskedAt }, token),
            cancellationToken,
            write.Count);
        return Engine.Pipeline.Written is { } written ? TellAsync(outcome, write, written) : outcome;
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        AmbientTransaction.RefuseWrite();
        await CallAsync(
            "flush",
            TimeProvider.System.GetTimestamp(),
            static (engine, askedAt, token) => engine.Pipeline.SubmitAsync(
                UpdateWork.Flush(engine.Driver.Sql, CommitKinds.Writes, askedAt), token),
            cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask<KvCommitResult> CommitAsync(AtomicWrite write, CancellationToken cancellationToken) =>
        WriteResults.Of(write, await SubmitAsync(write, cancellationToken).ConfigureAwait(false));

    public async ValueTask<KvCommitResult> CommitAsync(AtomicWrite write, DbContext context, CancellationToken cancellationToken) =>
        WriteResults.Of(
            write, await new ContextWrites(this).JoinAsync(new AtomicWork(write), context, cancellationToken).ConfigureAwait(false));

    public async ValueTask<KvVersionstamp?> ResolveAsync(KvOperationId operationId, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await Engine.OpenAsync(cancellationToken).ConfigureAwait(false);
        var mark = new CommitMark(operationId.Writer, operationId.Sequence);
        var version = await Engine.Runner.ResolveAsync(mark, cancellationToken).ConfigureAwait(false);
        return version is { } last ? KvVersionstamp.FromVersion(last - operationId.VersionOffset) : null;
    }

    private static async ValueTask<AtomicOutcome> TellAsync(
        ValueTask<AtomicOutcome> commit, AtomicWrite write, Func<AtomicWrite, ValueTask> written)
    {
        var outcome = await commit.ConfigureAwait(false);
        if (outcome.Version > 0)
        {
            await written(write).ConfigureAwait(false);
        }

        return outcome;
    }

    private async ValueTask<KvEnqueueResult> EnqueueAsync(AtomicWrite write, CancellationToken cancellationToken)
    {
        var outcome = await SubmitAsync(write, cancellationToken).ConfigureAwait(false);
        var own = write.Messages[0].Id;
        var id = outcome.Kept?[0] ?? own;
        return new KvEnqueueResult(id, KvVersionstamp.FromVersion(outcome.Version), id == own);
    }

    private async ValueTask<ulong> ResultAsync(AtomicWrite write, CancellationToken cancellationToken) =>
        (await SubmitAsync(write, cancellationToken).ConfigureAwait(false)).Result;

    private async ValueTask<bool> TouchAsync(AtomicWrite write, CancellationToken cancellationToken) =>
        await ResultAsync(write, cancellationToken).ConfigureAwait(false) == 1;

    private static async ValueTask<KvVersionstamp> CommitUncheckedAsync(KvAtomic atomic, CancellationToken cancellationToken) =>
        (await atomic.CommitAsync(cancellationToken).ConfigureAwait(false)).Versionstamp;
}
