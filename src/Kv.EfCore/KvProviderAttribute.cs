namespace Kv;

/// <summary>Marks an assembly as a provider package of EfKv and names the type that describes its database.</summary>
/// <remarks>Provider packages are found by their name: the EF Core provider of the configured context decides which one is loaded.</remarks>
/// <param name="dialect">The type that describes the database; it has a parameterless constructor.</param>
[AttributeUsage(AttributeTargets.Assembly)]
public sealed class KvProviderAttribute(Type dialect) : Attribute
{
    /// <summary>The type that describes the database.</summary>
    public Type Dialect { get; } = dialect;
}
