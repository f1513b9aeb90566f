namespace Kv.Messages;

/// <summary>
/// The keys that a message names for the case that it cannot be delivered: whatever is wrong with one, the others are written.
/// </summary>
/// <param name="Good">Those that the payload is written under.</param>
/// <param name="Named">All that are keys at all, in their order.</param>
/// <param name="Bad">What is said of those that are not written.</param>
internal sealed record KeysIfUndelivered(IReadOnlyList<byte[]> Good, IReadOnlyList<KvKey> Named, IReadOnlyList<string> Bad)
{
    /// <summary>None.</summary>
    public static KeysIfUndelivered None { get; } = new([], [], []);
}
