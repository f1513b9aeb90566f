namespace Kv.Merges;

/// <summary>What is stored is none of the values of a merge operator.</summary>
/// <param name="cause">Why; null where its kind says it all.</param>
internal sealed class UnreadableValueException(Exception? cause = null) : Exception(cause?.Message, cause);
