using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.Store;

namespace Kv;

/// <summary>What became of an atomic write: committed, or refused by its checks.</summary>
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(CommitResultConverter))]
public sealed class KvCommitResult
{
    private readonly KvVersionstamp? _versionstamp;

    internal KvCommitResult(KvVersionstamp versionstamp, IReadOnlyList<string> messageIds) => (_versionstamp, MessageIds) = (versionstamp, messageIds);

    internal KvCommitResult(IReadOnlyList<KvFailedCheck> failedChecks) => FailedChecks = failedChecks;

    /// <summary>Whether the write is committed. If not, nothing of it was written.</summary>
    public bool Succeeded => _versionstamp is not null;

    /// <summary>The versionstamp of the commit, which all its entries carry.</summary>
    /// <exception cref="InvalidOperationException">The write was refused.</exception>
    public KvVersionstamp Versionstamp => _versionstamp
        ?? throw new InvalidOperationException($"The write was refused by {FailedChecks.Count} of its checks, so it has no versionstamp. Look at {nameof(Succeeded)} first.");

    /// <summary>All checks that failed; empty if the write succeeded.</summary>
    public IReadOnlyList<KvFailedCheck> FailedChecks { get; } = [];

    /// <summary>
    /// The ids of the messages, in the order of their enqueueing; where a unique key was taken and its message was kept, that message's. Empty
    /// if the write was refused.
    /// </summary>
    public IReadOnlyList<string> MessageIds { get; } = [];
}

/// <summary>A check that refused an atomic write.</summary>
/// <param name="Index">Its position among the checks of the write, from 0.</param>
/// <param name="Key">The key that was checked.</param>
/// <param name="Present">The versionstamp that the key has; null if it is absent.</param>
public sealed record KvFailedCheck(int Index, KvKey Key, KvVersionstamp? Present);
