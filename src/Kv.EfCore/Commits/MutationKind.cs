namespace Kv.Commits;

internal enum MutationKind
{
    Set,
    SetVersionstamped,
    Delete,
    DeleteRange,

    /// <summary>Deletes the key if it is past its time when the write runs.</summary>
    DeleteExpired,
    Touch,
    Sum,
    SumWithin,
    Min,
    Max,

    /// <summary>Folds an operand into the value.</summary>
    Merge,
}
