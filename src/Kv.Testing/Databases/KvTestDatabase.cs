namespace Kv;

/// <summary>Where the databases of tests come from. Each host gets an empty one of its own, which is deleted with it.</summary>
public abstract class KvTestDatabase
{
    private protected KvTestDatabase()
    {
    }

    /// <summary>SQLite: a file in a temporary folder, copied from one that is migrated once in the process.</summary>
    public static KvTestDatabase Sqlite { get; } = new Databases.SqliteFiles();

    /// <summary>PostgreSQL: a database of a server, made from a template that is migrated once on that server.</summary>
    /// <remarks>
    /// The template's name begins with <c>efkv_test_template_</c>; it stays on the server for later runs. The databases of hosts begin with
    /// <c>efkv_test_</c>, and are dropped when the host is disposed of; those of a process that was killed stay.
    /// </remarks>
    /// <param name="connectionString">
    /// To a database that is there already, such as <c>postgres</c>, as a user with the right to create others.
    /// </param>
    /// <returns>The source of databases.</returns>
    public static KvTestDatabase PostgreSql(string connectionString)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(connectionString);
        return new Databases.PostgreSqlDatabases(connectionString);
    }

    /// <summary>A database that is not made yet.</summary>
    internal abstract Databases.TestDatabase Next();
}
