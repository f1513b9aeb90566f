namespace Kv.Messages;

/// <summary>A row of the queue by its primary key, in the values that the database has there.</summary>
/// <param name="Position">When it is due.</param>
/// <param name="Id">Its id, which other rows may have as well.</param>
internal readonly record struct StrayRow(object Position, object Id);
