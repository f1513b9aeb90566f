namespace Kv;

/// <summary>What a caller can do about a <see cref="KvException"/>.</summary>
public enum KvErrorKind
{
    /// <summary>A value has another type than the operation or the caller expects. Read or write it as the type it has.</summary>
    Type = 0,

    /// <summary>A number is outside the bounds that were asked for, or does not fit the type. Nothing was written.</summary>
    Range = 1,

    /// <summary>Stored bytes cannot be read. The entry stays as it is; it can be read as <see cref="KvValue"/>.</summary>
    Encoding = 2,

    /// <summary>The tables of the store are missing or of another version. Apply the migrations.</summary>
    Schema = 3,

    /// <summary>
    /// Others kept changing the same entries for <see cref="KvStoreOptions.CommandTimeout"/>. Nothing was written; try again later.
    /// </summary>
    Conflict = 4,

    /// <summary>The message belongs to another worker by now. Nothing was written; stop working on it.</summary>
    LeaseLost = 5,

    /// <summary>The database was busy, had no room, or could not be reached. Nothing was written; try again later.</summary>
    Unavailable = 6,

    /// <summary>The connection was lost during a commit. See <see cref="KvCommitUnknownException"/>.</summary>
    CommitUnknown = 7,

    /// <summary>A message has a unique key that is taken, and asked to be refused then. Nothing was written.</summary>
    Duplicate = 8,

    /// <summary>What was asked for is not there any more. Nothing was written.</summary>
    NotFound = 9,

    /// <summary>
    /// The database refuses the request, and would again: rights that are missing, a damaged file, text that the database's encoding lacks.
    /// Nothing was written; <see cref="Exception.InnerException"/> is the database's own error.
    /// </summary>
    Refused = 10,

    /// <summary>
    /// A merge operator failed, or what it made is over a limit. Nothing was written; correct the operator or its operand.
    /// <see cref="Exception.InnerException"/> is what the operator threw.
    /// </summary>
    Merge = 11,

    /// <summary>The change feed is off, or does not work. Switch it on (<see cref="IKvChanges.EnableAsync"/>).</summary>
    ChangesOff = 12,

    /// <summary>
    /// Changes that were asked for may be missing. List what is followed, then follow from <see
    /// cref="KvChangesTooOldException.FollowFrom"/>.
    /// </summary>
    ChangesTooOld = 13,
}
