using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;

namespace Kv.Keys;

/// <summary>Names what turns a type of the store into JSON. It stands in the folder of its type, where <see cref="KvJsonConverter"/> finds it.</summary>
/// <param name="converter">A <see cref="JsonConverter"/> of the type, with a constructor without parameters.</param>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Struct, Inherited = false)]
internal sealed class JsonFormAttribute(
    [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor)] Type converter) : Attribute
{
    public JsonConverter CreateConverter() => (JsonConverter)Activator.CreateInstance(_converter)!;

    [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicParameterlessConstructor)]
    private readonly Type _converter = converter;
}
