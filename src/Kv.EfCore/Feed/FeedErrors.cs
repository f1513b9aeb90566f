namespace Kv.Feed;

/// <summary>What a follower is told that cannot go on.</summary>
internal static class FeedErrors
{
    private const string Remedy = "Switch it on with IKvChanges.EnableAsync, once for all processes of the store";

    /// <summary>The feed is off.</summary>
    public static KvException Off(FeedState state) => new(
        KvErrorKind.ChangesOff,
        state.Oldest is null
            ? $"The change feed of this store is off, so changes are not recorded. {Remedy}, and "
                + "follow from KvChangesState.Oldest."
            : "The triggers of the table kv that fill the change feed are gone or switched off, as after the table was made anew, so "
                + $"changes are missing. {Remedy}; then list what is followed, and follow from KvChangesState.Oldest.");

    /// <summary>Changes are no longer kept.</summary>
    public static KvChangesTooOldException TooOld(long version, FeedState state) => new(
        $"Changes after {KvVersionstamp.FromVersion(version)} are too old: the change feed has those after "
        + $"{KvVersionstamp.FromVersion(state.Oldest!.Value)}. {Anew(state)}",
        KvVersionstamp.FromVersion(state.Version));

    /// <summary>The database has gone back.</summary>
    public static KvChangesTooOldException WentBack(long version, FeedState state) => new(
        $"Changes after {KvVersionstamp.FromVersion(version)} cannot be told: the database has gone back to an earlier state of itself, "
        + $"as after a backup was restored, and its last commit is {KvVersionstamp.FromVersion(state.Version)}. {Anew(state)}",
        KvVersionstamp.FromVersion(state.Version));

    /// <summary>Changes cannot be made durable.</summary>
    public static KvException ReadOnly(FeedState state, Exception error) => new(
        KvErrorKind.Refused,
        $"The changes up to {KvVersionstamp.FromVersion(state.Version)} are not known to be on the disk, where a crash takes nothing back, "
        + $"and this process cannot bring them there, since it may not write. Follow them in a process that may. {error.Message}",
        error);

    /// <summary>Changes could not be made durable, or not on the database that they were read from.</summary>
    public static KvException NotFlushed(FeedState state, long version) => new(
        KvErrorKind.Unavailable,
        $"The changes up to {KvVersionstamp.FromVersion(state.Version)} could not be taken to the disk: "
        + (version == 0
            ? "the connection was lost meanwhile."
            : $"the database that takes writes is at {KvVersionstamp.FromVersion(version)}, as after a failover.")
        + " They are told of when they are read again.");

    /// <summary>A range has too many keys to be compared.</summary>
    public static KvException TooMany(FeedState state) => state.Oldest is null
        ? new KvException(
            KvErrorKind.ChangesOff,
            $"The range has more than {KvLimits.MaxWatchedRange} keys, and without the change feed a watch compares all of them. {Remedy}, "
            + "or watch a smaller range.")
        : Off(state);

    private static string Anew(FeedState state) =>
        $"List what is followed, then follow from {KvVersionstamp.FromVersion(state.Version)} (KvChangesTooOldException.FollowFrom).";
}
