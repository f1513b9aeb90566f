namespace Kv.Commits;

/// <summary>Names a commit, so that its outcome can be asked for when the answer was lost.</summary>
/// <param name="Writer">The number that the writer drew for itself.</param>
/// <param name="Sequence">The number of the commit among the writer's.</param>
internal readonly record struct CommitMark(long Writer, long Sequence)
{
    /// <summary>What stands in a mark for the version of a commit that took none.</summary>
    public const long NoVersion = -1;
}
