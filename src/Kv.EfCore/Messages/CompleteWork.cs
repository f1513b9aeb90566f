namespace Kv.Messages;

/// <summary>Takes a handled message out of the tables. The answer is whether it was still held.</summary>
internal sealed class CompleteWork(Fence fence) : Work<bool>
{
    public Fence Fence { get; } = fence;
}
