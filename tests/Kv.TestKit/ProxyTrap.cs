namespace Kv.TestKit;

/// <summary>A fault that waits in a proxy for a statement.</summary>
internal sealed class ProxyTrap(string statement, bool losesRequest)
{
    private readonly TaskCompletionSource _sprung = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The statement itself is lost; else the answer to it.</summary>
    public bool LosesRequest => losesRequest;

    public Task Sprung => _sprung.Task;

    public bool Matches(string executed) => executed.TrimStart().StartsWith(statement, StringComparison.OrdinalIgnoreCase);

    public void Complete() => _sprung.TrySetResult();
}
