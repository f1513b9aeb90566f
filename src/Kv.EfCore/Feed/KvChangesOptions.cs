namespace Kv;

/// <summary>How long a change feed keeps changes.</summary>
public sealed record KvChangesOptions
{
    /// <summary>
    /// How long a change is kept at least; up to a twentieth longer, and a minute. A follower that was away for longer has to list anew.
    /// </summary>
    /// <value>Default: 7 days. From 1 second to 10 years; null for as long as the feed is on.</value>
    public TimeSpan? KeepFor { get; init; } = TimeSpan.FromDays(7);

    /// <summary>How many of the last versions of the store are kept at least, which is a bound of the room that the feed takes.</summary>
    /// <value>Default: null, for all that <see cref="KeepFor"/> keeps. From 1 on.</value>
    /// <remarks>Where both are set, a change is deleted as soon as one of them no longer keeps it.</remarks>
    public long? KeepVersions { get; init; }
}
