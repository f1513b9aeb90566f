using System.Data.Common;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.Joined;

/// <summary>Takes the commands of a save to the unit of work of its context. It has no state: one serves all contexts.</summary>
internal sealed class CommandInterceptor : IDbCommandInterceptor
{
    private CommandInterceptor()
    {
    }

    public static CommandInterceptor Instance { get; } = new();

    public InterceptionResult<DbDataReader> ReaderExecuting(
        DbCommand command, CommandEventData eventData, InterceptionResult<DbDataReader> result)
    {
        if (!result.HasResult && CommitsOf(eventData) is { } commits)
        {
            JoinInterceptor.Wait(commits.ExecutingAsync(command, CancellationToken.None));
        }

        return result;
    }

    public ValueTask<InterceptionResult<DbDataReader>> ReaderExecutingAsync(
        DbCommand command,
        CommandEventData eventData,
        InterceptionResult<DbDataReader> result,
        CancellationToken cancellationToken = default)
    {
        return !result.HasResult && CommitsOf(eventData) is { } commits ? AppendAsync() : new(result);

        async ValueTask<InterceptionResult<DbDataReader>> AppendAsync()
        {
            await commits.ExecutingAsync(command, cancellationToken).ConfigureAwait(false);
            return result;
        }
    }

    public InterceptionResult DataReaderClosing(DbCommand command, DataReaderClosingEventData eventData, InterceptionResult result)
    {
        if (ContextUnits.Of(eventData.Context)?.Known?.Commits.InCommand is { } write)
        {
            JoinInterceptor.Wait(write.RanAsync(command, eventData.DataReader, CancellationToken.None));
        }

        return result;
    }

    public ValueTask<InterceptionResult> DataReaderClosingAsync(
        DbCommand command, DataReaderClosingEventData eventData, InterceptionResult result)
    {
        return ContextUnits.Of(eventData.Context)?.Known?.Commits.InCommand is { } write ? ReadAsync() : new(result);

        async ValueTask<InterceptionResult> ReadAsync()
        {
            await write.RanAsync(command, eventData.DataReader, CancellationToken.None).ConfigureAwait(false);
            return result;
        }
    }

    private static UnitCommits? CommitsOf(CommandEventData eventData) => eventData.CommandSource == CommandSource.SaveChanges
        ? ContextUnits.Of(eventData.Context)?.Known?.Commits
        : null;
}
