using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;

namespace Kv.Joined;

/// <summary>
/// Hears how a save ended before interceptors of the application's do, which may save again or throw. EF Core calls those of its own
/// services first. It has no state: one serves all contexts.
/// </summary>
internal sealed class SaveEndInterceptor : ISaveChangesInterceptor
{
    private SaveEndInterceptor()
    {
    }

    public static SaveEndInterceptor Instance { get; } = new();

    public int SavedChanges(SaveChangesCompletedEventData eventData, int result)
    {
        ContextUnits.Of(eventData.Context)?.Known?.Commits.CameThrough();
        return result;
    }

    public ValueTask<int> SavedChangesAsync(
        SaveChangesCompletedEventData eventData, int result, CancellationToken cancellationToken = default) =>
        new(SavedChanges(eventData, result));

    public void SaveChangesFailed(DbContextErrorEventData eventData) => Failed(eventData.Context, eventData.Exception);

    public Task SaveChangesFailedAsync(DbContextErrorEventData eventData, CancellationToken cancellationToken = default)
    {
        SaveChangesFailed(eventData);
        return Task.CompletedTask;
    }

    public void SaveChangesCanceled(DbContextEventData eventData) => Failed(eventData.Context, null);

    public Task SaveChangesCanceledAsync(DbContextEventData eventData, CancellationToken cancellationToken = default)
    {
        SaveChangesCanceled(eventData);
        return Task.CompletedTask;
    }

    private static void Failed(DbContext? context, Exception? error)
    {
        if (ContextUnits.Of(context) is { } units)
        {
            units.Known?.Commits.Failed(error);
            units.Transactions.EndSave();
        }
    }
}
