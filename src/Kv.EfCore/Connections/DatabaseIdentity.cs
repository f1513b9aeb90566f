namespace Kv.Connections;

/// <summary>Which tables a session works on, told apart from every copy of them.</summary>
/// <param name="Tables">What the tables have that no other tables have while they are there, copies among them; null if they are not all there.</param>
/// <param name="Name">By what name they were found, where what tells them apart can be given to others once they are gone; otherwise empty.</param>
/// <param name="Location">What an error calls it: a database, its server and schema, or a file. Never a password.</param>
internal sealed record DatabaseIdentity(string? Tables, string Name, string Location)
{
    /// <summary>Whether another one, asked for at the same time, is the same.</summary>
    public bool Is(DatabaseIdentity other) => Tables is not null && string.Equals(Tables, other.Tables, StringComparison.Ordinal);

    /// <summary>Whether another one, asked for at another time, is the same.</summary>
    public bool IsStill(DatabaseIdentity other) => Is(other) && string.Equals(Name, other.Name, StringComparison.Ordinal);
}
