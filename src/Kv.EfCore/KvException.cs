namespace Kv;

/// <summary>An operation of a store failed. Exceptions of the database itself pass through as they are.</summary>
/// <param name="kind">What a caller can do about it.</param>
/// <param name="message">What failed, with the values, and the remedy.</param>
/// <param name="inner">The exception behind it, if there is one.</param>
public class KvException(KvError kind, string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>What a caller can do about it.</summary>
    public KvError Kind { get; } = kind;
}
