namespace Kv.Commits;

/// <summary>What becomes of the row of a key.</summary>
internal enum KeyEffect
{
    None,
    Put,
    Touch,
    Delete,
}
