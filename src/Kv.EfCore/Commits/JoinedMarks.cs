using System.Collections.Concurrent;
using Kv.Connections;

namespace Kv.Commits;

/// <summary>
/// Marks for commits of the user's, of which several are under way at once: each takes the numbers of one that has ended, so that there are
/// no more rows than there were transactions at the same time.
/// </summary>
internal sealed class JoinedMarks(StoreClock clock)
{
    private readonly ConcurrentBag<CommitMarks> _free = [];

    /// <summary>Takes a mark that no other commit has.</summary>
    public CommitMarks Take()
    {
        var marks = _free.TryTake(out var free) ? free : new CommitMarks(clock);
        marks.Next();
        return marks;
    }

    /// <summary>
    /// Gives numbers back whose last commit has an outcome that is known. Others are left to be deleted when they are old.
    /// </summary>
    public void Return(CommitMarks marks) => _free.Add(marks);
}
