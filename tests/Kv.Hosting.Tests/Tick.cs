namespace Kv.Tests;

/// <summary>The message of a schedule that a test runs.</summary>
[KvMessage("tick")]
internal sealed record Tick(DateTimeOffset At);
