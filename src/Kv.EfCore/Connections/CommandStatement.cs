using System.Data.Common;
using System.Text.RegularExpressions;

namespace Kv.Connections;

/// <summary>A statement that is a prepared command of the driver.</summary>
internal sealed partial class CommandStatement(DbCommand command, bool prepares) : Statement
{
    // Looked up by name for each value of each row: the collection's own search compares one name after the other.
    private readonly Dictionary<string, DbParameter> _parameters = command.Parameters.Cast<DbParameter>().ToDictionary(static p => p.ParameterName, StringComparer.Ordinal);
    private bool _prepared;

    public override Statement Set(string parameter, object? value)
    {
        if (_parameters.TryGetValue(parameter, out var found))
        {
            found.Value = value ?? DBNull.Value;
        }

        return this;
    }

    public override async ValueTask<DbDataReader> ReadAsync(CancellationToken cancellationToken)
    {
        await PrepareAsync(cancellationToken).ConfigureAwait(false);
        return await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
    }

    // Never prepared: it is for what runs now and then, and the driver's own bound for preparing is not the command's.
    public override DbDataReader Read() => command.ExecuteReader();

    public override async ValueTask<object?> ScalarAsync(CancellationToken cancellationToken)
    {
        await PrepareAsync(cancellationToken).ConfigureAwait(false);
        return await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false);
    }

    public override async ValueTask<int> ExecuteAsync(CancellationToken cancellationToken)
    {
        await PrepareAsync(cancellationToken).ConfigureAwait(false);
        return await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
    }

    public override void Dispose() => command.Dispose();

    /// <summary>Gives a value to a parameter of a command or of a part of a batch.</summary>
    public static void Assign(DbParameterCollection parameters, string parameter, object? value)
    {
        for (var i = 0; i < parameters.Count; i++)
        {
            if (string.Equals(parameters[i].ParameterName, parameter, StringComparison.Ordinal))
            {
                parameters[i].Value = value ?? DBNull.Value;
                return;
            }
        }
    }

    /// <summary>Adds the parameters that a text names, in order of their first use.</summary>
    public static void Declare(DbParameterCollection parameters, string text, Func<DbParameter> create)
    {
        foreach (var name in ParameterName().EnumerateMatches(text))
        {
            var parameterName = text.Substring(name.Index, name.Length);
            if (!parameters.Contains(parameterName))
            {
                var parameter = create();
                parameter.ParameterName = parameterName;
                parameters.Add(parameter);
            }
        }
    }

    /// <summary>Prepares within the time that running has, after which the connection is taken for broken.</summary>
    /// <remarks>Npgsql bounds a preparation by the connection string's timeout alone, whatever the command's is.</remarks>
    /// <param name="prepare">The driver's call.</param>
    /// <param name="seconds">The command's timeout; 0 for none.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="TimeoutException">The database did not answer.</exception>
    public static async ValueTask PrepareAsync(Func<CancellationToken, Task> prepare, int seconds, CancellationToken cancellationToken)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var interruption = new Interruption(timeout.Token);
        timeout.CancelAfter(seconds > 0 ? TimeSpan.FromSeconds(seconds) : Timeout.InfiniteTimeSpan);
        try
        {
            await prepare(interruption.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"The database did not prepare a statement within {seconds} seconds.", error);
        }
    }

    // Prepared at the first run and not before: PostgreSQL takes the types of the parameters from their values.
    private async ValueTask PrepareAsync(CancellationToken cancellationToken)
    {
        if (prepares && !_prepared)
        {
            await PrepareAsync(command.PrepareAsync, command.CommandTimeout, cancellationToken).ConfigureAwait(false);
            _prepared = true;
        }
    }

    [GeneratedRegex("@[a-z]+", RegexOptions.CultureInvariant)]
    private static partial Regex ParameterName();
}
