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
        CommitsOf(eventData.Context)?.CameThrough();
        return result;
    }

    public ValueTask<int> SavedChangesAsync(
        SaveChangesCompletedEventData eventData, int result, CancellationToken cancellationToken = default) =>
        new(SavedChanges(eventData, result));

    public void SaveChangesFailed(DbContextErrorEventData eventData) => CommitsOf(eventData.Context)?.Failed(eventData.Exception);

    public Task SaveChangesFailedAsync(DbContextErrorEventData eventData, CancellationToken cancellationToken = default)
    {
        SaveChangesFailed(eventData);
        return Task.CompletedTask;
    }

    public void SaveChangesCanceled(DbContextEventData eventData) => CommitsOf(eventData.Context)?.Failed(null);

    public Task SaveChangesCanceledAsync(DbContextEventData eventData, CancellationToken cancellationToken = default)
    {
        SaveChangesCanceled(eventData);
        return Task.CompletedTask;
    }

    private static UnitCommits? CommitsOf(DbContext? context) => ContextUnits.Of(context)?.Known?.Commits;
}
