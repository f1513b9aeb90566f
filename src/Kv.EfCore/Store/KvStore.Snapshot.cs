using Kv.Reads;

namespace Kv.Store;

/// <summary>Snapshots of the store.</summary>
internal sealed partial class KvStore
{
    public async ValueTask<IKvSnapshot> SnapshotAsync(CancellationToken cancellationToken = default)
    {
        var snapshot = await CallAsync(
            "snapshot",
            Engine.Options.SnapshotTimeout,
            static (engine, longest, token) => engine.Reader.BeginAsync(longest, token),
            cancellationToken).ConfigureAwait(false);
        return new KvSnapshot(this, Engine.Reader, snapshot);
    }

    /// <summary>The entry of a row that a listing found.</summary>
    internal KvEntry EntryOf(Row row) => Entry(Shown.Out(row.Key), row);
}
