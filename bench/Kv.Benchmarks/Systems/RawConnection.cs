using System.Data.Common;

namespace Kv.Benchmarks.Systems;

/// <summary>A connection with the commands that were prepared on it.</summary>
public sealed class RawConnection(DbConnection connection) : IAsyncDisposable
{
    private readonly Dictionary<string, DbCommand> _commands = new(StringComparer.Ordinal);

    public DbCommand Command(string text, params ReadOnlySpan<(string Name, object Value)> parameters)
    {
        var known = _commands.TryGetValue(text, out var command);
        if (!known)
        {
            command = connection.CreateCommand();
            command.CommandText = text;
            _commands.Add(text, command);
            foreach (var (name, _) in parameters)
            {
                var parameter = command.CreateParameter();
                parameter.ParameterName = name;
                command.Parameters.Add(parameter);
            }
        }

        for (var i = 0; i < parameters.Length; i++)
        {
            command!.Parameters[i].Value = parameters[i].Value;
        }

        if (!known)
        {
            command!.Prepare();
        }

        return command!;
    }

    public async ValueTask<(byte[]? Value, long Version)> ReadAsync(string text, byte[] key)
    {
        await using var reader = await Command(text, ("@k", key)).ExecuteReaderAsync();
        return await reader.ReadAsync() ? (reader.GetFieldValue<byte[]>(0), reader.GetInt64(2)) : (null, 0);
    }

    /// <summary>Reads rows of key, value, encoding and version.</summary>
    public static async ValueTask<int> ReadAllAsync(DbCommand command)
    {
        var found = 0;
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            _ = (reader.GetFieldValue<byte[]>(0), reader.GetFieldValue<byte[]>(1), reader.GetInt32(2), reader.GetInt64(3));
            found++;
        }

        return found;
    }

    public async ValueTask SetAsync(byte[] key, byte[] value, int encoding, long version) => await Command(
        """
        insert into kv (k, v, v_encoding, version) values (@k, @v, @e, @version)
        on conflict (k) do update set v = excluded.v, v_encoding = excluded.v_encoding, version = excluded.version, expiration_ms = -1
        """,
        ("@k", key),
        ("@v", value),
        ("@e", encoding),
        ("@version", version)).ExecuteNonQueryAsync();

    public async ValueTask DisposeAsync()
    {
        foreach (var command in _commands.Values)
        {
            await command.DisposeAsync();
        }

        await connection.DisposeAsync();
    }
}
