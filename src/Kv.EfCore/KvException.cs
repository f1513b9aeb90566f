namespace Kv;

/// <summary>
/// An operation of a store failed. Exceptions of the database itself are its <see cref="Exception.InnerException"/>; they pass through as they
/// are only where a write is part of a transaction of the caller's own.
/// </summary>
/// <param name="kind">What a caller can do about it.</param>
/// <param name="message">What failed, with the values, and the remedy.</param>
/// <param name="inner">The exception behind it, if there is one.</param>
public class KvException(KvErrorKind kind, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>What a caller can do about it.</summary>
    public KvErrorKind Kind { get; } = kind;

    /// <summary>Whether it comes again until something is configured otherwise, so that waiting does not help.</summary>
    internal bool IsLasting { get; init; }

    /// <summary>
    /// Where a listing can go on that failed in the middle: pass it as <see cref="KvListOptions.Cursor"/> with the same selector and direction.
    /// Null if nothing was listed before, and for all other errors.
    /// </summary>
    public string? Cursor { get; init; }
}
