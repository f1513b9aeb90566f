namespace Kv.Diagnostics;

/// <summary>Named places at which a test may fail, hold or cut what the engine does. Without a test they cost a null check.</summary>
internal sealed class FailPoints
{
    /// <summary>The transaction is complete but for its COMMIT.</summary>
    public const string BeforeCommit = "commit:before";

    /// <summary>COMMIT was answered; the waiters have not been told.</summary>
    public const string AfterCommit = "commit:after";

    /// <summary>
    /// Whether the sweeper of the store, its worker and its schedules do not run by themselves: a test runs their rounds.
    /// </summary>
    public bool IsStepped { get; init; }

    public Func<string, ValueTask>? OnHit { get; set; }

    public ValueTask HitAsync(string point) => OnHit is { } onHit ? onHit(point) : ValueTask.CompletedTask;
}
