using Kv.Changes;
using Kv.Commits;
using Kv.Connections;
using Kv.Messages;
using Kv.Sql;

namespace Kv.Feed;

/// <summary>Takes to the disk what a follower is to be told of: what it is told, no crash takes back.</summary>
/// <param name="pipeline">Runs the flush between the commits.</param>
/// <param name="sql">The statements.</param>
/// <param name="seen">The versions that this process has seen.</param>
internal sealed class FeedFlush(CommitPipeline pipeline, KvSql sql, SeenVersions seen)
{
    /// <summary>The version up to which all is known to be on the disk.</summary>
    public long Durable => seen.Current.Durable;

    /// <summary>Makes durable what was committed before.</summary>
    /// <param name="read">What was read, for the sake of which it is done.</param>
    /// <param name="ending">Gives up: a flush that has begun goes on alone.</param>
    /// <returns>
    /// The store's version, up to which all is durable. What was read before the flush may have been lost before it, so it is read again.
    /// </returns>
    /// <exception cref="KvException">
    /// The database could not be flushed, or is not the one that was read (<see cref="KvErrorKind.Unavailable"/>), or this process may not
    /// write (<see cref="KvErrorKind.Refused"/>).
    /// </exception>
    public async ValueTask<long> RunAsync(FeedState read, CancellationToken ending)
    {
        var era = seen.Current;
        var flush = UpdateWork.Flush(sql);
        var running = pipeline.SubmitAsync(flush, ending).AsTask();
        bool hasAnswered;
        try
        {
            hasAnswered = await running.WaitAsync(ending).ConfigureAwait(false);
        }
        catch (KvException error) when (error.IsLasting)
        {
            throw FeedErrors.ReadOnly(read, error);
        }
        catch (Exception) when (ending.IsCancellationRequested)
        {
            running.Abandon();
            throw new OperationCanceledException(ending);
        }

        if (!hasAnswered || flush.Version < read.Version)
        {
            throw FeedErrors.NotFlushed(read, flush.Version);
        }

        seen.Learn(era, flush.Version, isDurable: true);
        return flush.Version;
    }
}
