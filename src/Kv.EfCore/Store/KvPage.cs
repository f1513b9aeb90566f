namespace Kv;

/// <summary>A page of a listing.</summary>
/// <param name="Entries">The entries, in the order of the listing.</param>
/// <param name="Cursor">Resumes after this page, with the selector of this page and no other; null when the range has no more. Fit for a URL.</param>
public sealed record KvPage(IReadOnlyList<KvEntry> Entries, string? Cursor);
