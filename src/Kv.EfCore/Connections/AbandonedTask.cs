namespace Kv.Connections;

/// <summary>Tasks that are waited for no more.</summary>
internal static class AbandonedTask
{
    /// <summary>Lets a task go on alone: if it fails in the end, that is no unobserved exception, which applications report as a defect.</summary>
    public static void Abandon(this Task task)
    {
        if (!task.IsCompletedSuccessfully)
        {
            _ = task.ContinueWith(
                static ended => _ = ended.Exception,
                CancellationToken.None,
                TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously,
                TaskScheduler.Default);
        }
    }
}
