using Kv.Keys;
using Kv.Messages;

namespace Kv.Commits;

/// <summary>What a group finds when its transaction has begun.</summary>
internal sealed class CommitReads
{
    /// <summary>The time of the step, in Unix milliseconds: expiries count from it, and are judged by it.</summary>
    /// <remarks>
    /// 0 where the server's clock decides and nothing of the group depends on what is stored: expiries then count from the commit.
    /// </remarks>
    public required long Now { get; set; }

    /// <summary>The version after the group: the last write's own. 0 if it is not known before the commit.</summary>
    public long LastVersion { get; set; }

    public Dictionary<byte[], StoredRow> Rows { get; } = new(KeyComparer.Instance);

    /// <summary>Those of the fences asked for that still hold.</summary>
    public HashSet<Fence> Held { get; } = [];

    /// <summary>Those of the waiting messages asked for that still wait.</summary>
    public HashSet<string> Waiting { get; } = new(StringComparer.Ordinal);

    /// <summary>Those of the rows that are to be cleared that are still there.</summary>
    public HashSet<StrayRow> Strays { get; } = [];

    /// <summary>The completed and requeued messages that were still held.</summary>
    public HashSet<Fence> Released { get; } = [];

    /// <summary>The updates that met a row.</summary>
    public HashSet<UpdateWork> Updated { get; } = [];

    public Dictionary<ClaimWork, List<ClaimedMessage>> Claimed { get; } = [];

    /// <summary>A claim has taken a message.</summary>
    public void Hold(ClaimWork claim, ClaimedMessage message)
    {
        if (!Claimed.TryGetValue(claim, out var claimed))
        {
            Claimed.Add(claim, claimed = []);
        }

        claimed.Add(message);
    }

    /// <summary>How many lapsed messages went back into the queue.</summary>
    public int Recovered { get; set; }
}
