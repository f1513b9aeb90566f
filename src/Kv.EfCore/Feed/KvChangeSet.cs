namespace Kv;

/// <summary>Keys that were changed together.</summary>
/// <param name="Versionstamp">
/// Where to go on after them: the versionstamp of their commit. Writes of a process that went to the database in one commit have the last
/// of their versionstamps here, which is not below that of any of their entries.
/// </param>
/// <param name="Changes">
/// The keys, each once, in key order. None in the first set of a watch, and in one that only tells how far a change feed was followed.
/// </param>
public sealed record KvChangeSet(KvVersionstamp Versionstamp, IReadOnlyList<KvChange> Changes);
