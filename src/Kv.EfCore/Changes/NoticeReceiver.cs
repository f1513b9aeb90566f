using Kv.Connections;

namespace Kv.Changes;

/// <summary>Waits for notices with an end, and without making the driver give up its own wait: while none comes, that goes on.</summary>
internal sealed class NoticeReceiver : IAsyncDisposable
{
    private static readonly TimeSpan GracePeriod = TimeSpan.FromSeconds(1);
    private readonly NoticeFeed _feed;
    private readonly CancellationTokenSource _over = new();
    private readonly Interruption _interruption;
    private Task<Notice>? _next;

    public NoticeReceiver(NoticeFeed feed) => (_feed, _interruption) = (feed, new Interruption(_over.Token));

    /// <returns>Null if nothing came for so long.</returns>
    public async ValueTask<Notice?> NextAsync(TimeSpan longest, CancellationToken cancellationToken)
    {
        var next = _next ??= _feed.NextAsync(_interruption.Token).AsTask();
        await ((Task)next).WaitAsync(longest, TimeProvider.System, cancellationToken)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
        if (!next.IsCompleted)
        {
            return null;
        }

        _next = null;
        return await next.ConfigureAwait(false);
    }

    /// <summary>Ends the wait. A driver that does not let go of a silent network loses its connection all the same.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_next is Task next)
        {
            await _over.CancelAsync().ConfigureAwait(false);
            await next.WaitAsync(GracePeriod, TimeProvider.System, CancellationToken.None)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            next.Abandon();
        }

        _interruption.Dispose();
        _over.Dispose();
    }
}
