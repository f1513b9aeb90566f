namespace Kv.TestKit;

/// <summary>The clock of a machine that is wrong: it goes like the system's, and is ahead of it, or behind.</summary>
/// <param name="by">How far ahead; negative for behind.</param>
public sealed class WrongTime(TimeSpan by) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + by;
}
