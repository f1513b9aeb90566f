namespace Kv.Tests;

/// <summary>
/// While meters are listened to, every worker of the process looks at its queue, which specifications of idle ones would see.
/// </summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Listening
{
    public const string Name = "listening to meters";
}
