using Kv.Messages;

namespace Kv.Commits;

/// <summary>What a group changes, each key at most once: the last word on it.</summary>
internal sealed class CommitEffects
{
    public List<(byte[] Start, byte[] End)> Ranges { get; } = [];

    public List<byte[]> Deletes { get; } = [];

    /// <remarks><c>VersionOffset</c> counts from the group's last version to the version of the write.</remarks>
    public List<(byte[] Key, byte[] Value, int Encoding, long VersionOffset, long ExpiresAt)> Puts { get; } = [];

    public List<(byte[] Key, long VersionOffset, long ExpiresAt)> Touches { get; } = [];

    /// <inheritdoc cref="Puts" path="/remarks" />
    public List<(NewMessage Message, long VersionOffset)> Messages { get; } = [];

    public List<(Fence Fence, MessageKeys? Keys)> Acknowledged { get; } = [];

    /// <summary>Waiting messages that go, if they still wait.</summary>
    public List<string> Removed { get; } = [];

    /// <summary>Rows that no claim takes, which go.</summary>
    public List<StrayRow> Cleared { get; } = [];

    /// <summary>Groups whose next message is released if there is a slot for it.</summary>
    public List<MessageGroup> Unblocked { get; } = [];

    /// <summary>Whether messages that waited for a slot of their group may have got one.</summary>
    public bool FreesSlots => Unblocked.Count > 0 || Removed.Count > 0 || Acknowledged.Exists(static a => a.Keys?.Group is not null);

    /// <summary>In how many milliseconds the first of what is written expires; <see cref="long.MaxValue"/> for none.</summary>
    public long SoonestExpiry { get; set; } = long.MaxValue;
}
