namespace Kv;

/// <summary>A merge operator as the options know it: by its name.</summary>
internal abstract class NamedMerge(string name)
{
    public string Name { get; } = name;
}
