namespace Kv.Schema;

/// <summary>The migrations that a database has, beside those that this version of the store knows.</summary>
/// <remarks>
/// A migration that lets older versions go on beside it says in its name from which one on: <c>Tags_Beside_Scope</c> is for all that
/// know <c>Scope</c>. Every version reads the names in the history at each start, and nothing can part a name from its migration.
/// </remarks>
/// <param name="known">The identifiers of the migrations of this version, in their order.</param>
/// <param name="applied">The identifiers of those that the history of the database names.</param>
internal sealed class SchemaVersions(IReadOnlyList<string> known, IReadOnlyList<string> applied)
{
    /// <summary>What stands between the name of a migration and that of the oldest one beside which it may be.</summary>
    public const string Beside = "_Beside_";

    /// <summary>The migrations that the database lacks.</summary>
    public IReadOnlyList<string> Missing { get; } = [.. known.Except(applied, StringComparer.Ordinal)];

    /// <summary>The migrations that this version does not know.</summary>
    public IReadOnlyList<string> Newer { get; } = [.. applied.Except(known, StringComparer.Ordinal)];

    /// <summary>The name of a migration, without the time of its making and without what it says of older versions.</summary>
    public static string NameOf(string migration) =>
        migration[(migration.IndexOf('_', StringComparison.Ordinal) + 1)..].Split(Beside)[0];

    /// <summary>The name of the migration that a version must know to go on beside a newer one; null if none may.</summary>
    public static string? OldestBeside(string migration)
    {
        var at = migration.LastIndexOf(Beside, StringComparison.Ordinal);
        return at < 0 ? null : migration[(at + Beside.Length)..];
    }

    /// <summary>Refuses a database that has a migration beside which this version may not go on.</summary>
    /// <exception cref="KvException">It has (<see cref="KvErrorKind.Schema"/>).</exception>
    public void EnsureNotAhead()
    {
        var barring = Newer.Where(migration => !Allows(migration)).ToList();
        if (barring.Count > 0)
        {
            throw new KvException(
                KvErrorKind.Schema,
                $"The store's schema is ahead: {string.Join(", ", barring)} came from a newer version of EfKv, and "
                + (Conditions(barring) is { Count: > 0 } conditions
                    ? $"only versions that know {string.Join(", ", conditions)} go on beside {(barring.Count == 1 ? "it" : "them")}; "
                        + $"the newest that this one knows is {(known.Count > 0 ? NameOf(known[^1]) : "none")}"
                    : "no older version goes on beside it")
                + ". Update the Kv packages of this application.");
        }

        // Migrations are applied in their order, so this is no earlier state of the database: it has another history.
        if (Newer.Count > 0 && Missing.Count > 0)
        {
            throw new KvException(
                KvErrorKind.Schema,
                $"The store's schema is ahead: {string.Join(", ", Newer)} came from a newer version of EfKv, and yet "
                + $"{string.Join(", ", Missing)} of this one {(Missing.Count == 1 ? "is" : "are")} not applied. Nothing was changed: "
                + "bring the Kv packages of this application up to date, and migrate with the newest.");
        }
    }

    private bool Allows(string migration) =>
        OldestBeside(migration) is { } oldest && known.Any(id => string.Equals(NameOf(id), oldest, StringComparison.Ordinal));

    // Where one of them lets no older version go on, those that others name do not help.
    private static List<string> Conditions(List<string> barring) =>
        barring.TrueForAll(static m => OldestBeside(m) is not null)
            ? [.. barring.Select(static m => OldestBeside(m)!).Distinct(StringComparer.Ordinal)]
            : [];
}
