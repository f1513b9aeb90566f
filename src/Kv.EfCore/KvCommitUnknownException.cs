namespace Kv;

/// <summary>
/// The connection was lost while a write was committing: it took effect as a whole or not at all, and this process does not know which. Or, on SQLite,
/// the file was deleted or replaced under the store, and the write went into one that has no name any more.
/// </summary>
/// <remarks>
/// Ask the store with <c>ResolveAsync</c> and <see cref="OperationId"/>. Without asking, repeat only writes that do no harm when they
/// happen twice, such as those guarded by a check.
/// </remarks>
public sealed class KvCommitUnknownException : KvException
{
    /// <summary>Says that it is not known what became of a write.</summary>
    /// <param name="operationId">Names the write.</param>
    /// <param name="inner">What interrupted the commit.</param>
    public KvCommitUnknownException(KvOperationId operationId, Exception? inner = null)
        : this(operationId, null, inner)
    {
    }

    internal KvCommitUnknownException(KvOperationId operationId, string? text, Exception? inner)
        : base(
            KvErrorKind.CommitUnknown,
            text ?? $"The connection was lost while committing; the write {operationId} took effect or it did not. Ask the store with ResolveAsync and this id.",
            inner) =>
        OperationId = operationId;

    /// <summary>Names the write for <c>ResolveAsync</c>; its text can be kept and parsed by another process.</summary>
    public KvOperationId OperationId { get; }
}
