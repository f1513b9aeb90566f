using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Kv.Values;

/// <summary>
/// A property that is left out of the JSON for some of its values, such as null: what is read then is what a new object has.
/// </summary>
/// <param name="contract">Whose property it is.</param>
/// <param name="property">The property.</param>
internal sealed class JsonOmission(JsonTypeInfo contract, JsonPropertyInfo property)
{
    private readonly Lazy<Initial> _initial = new(() => Find(contract, property), LazyThreadSafetyMode.PublicationOnly);

    /// <summary>What to say of an object that loses the property's value.</summary>
    public string Lost =>
        $"'{property.Name}' of {TypeText.Of(contract.Type)} has a value for which it is left out of the JSON, and a new object has "
        + $"{_initial.Value.Value ?? "null"} there. Take the condition off its [JsonIgnore], or have new objects begin with that value";

    /// <summary>Whether some values are left out.</summary>
    public static bool MayOmit(JsonTypeInfo contract, JsonPropertyInfo property) =>
        property.Get is not null && (property.Set is not null || property.AssociatedParameter is not null)
        && Condition(property) is not (JsonIgnoreCondition.Never or JsonIgnoreCondition.Always or JsonIgnoreCondition.WhenWriting)
        && (property.ShouldSerialize is not null
            || contract.Options.DefaultIgnoreCondition is JsonIgnoreCondition.WhenWritingNull or JsonIgnoreCondition.WhenWritingDefault);

    /// <summary>Whether an object has a value there that is left out and would come back as another one.</summary>
    public bool Loses(object of)
    {
        var value = property.Get!(of);
        return IsOmitted(of, value) && _initial.Value is { IsKnown: true } initial && !Equals(initial.Value, value);
    }

    private bool IsOmitted(object of, object? value) => property.ShouldSerialize is { } should
        ? !should(of, value)
        : value is null
            || (contract.Options.DefaultIgnoreCondition == JsonIgnoreCondition.WhenWritingDefault && Equals(value, Default(property)));

    private static JsonIgnoreCondition? Condition(JsonPropertyInfo property) =>
        property.AttributeProvider?.GetCustomAttributes(typeof(JsonIgnoreAttribute), inherit: true) is [JsonIgnoreAttribute ignored, ..]
            ? ignored.Condition
            : null;

    /// <summary>What is there when nothing is read.</summary>
    private static Initial Find(JsonTypeInfo contract, JsonPropertyInfo property)
    {
        if (property.AssociatedParameter is { } parameter)
        {
            return new Initial(true, parameter.HasDefaultValue ? parameter.DefaultValue : Default(property));
        }

        try
        {
            var made = contract.CreateObject?.Invoke() ?? JsonSerializer.Deserialize("{}"u8, contract);
            return made is null ? default : new Initial(true, property.Get!(made));
        }
        catch (Exception)
        {
            // The type's own code takes no empty one, so there is nothing to compare with.
            return default;
        }
    }

    private static object? Default(JsonPropertyInfo property) =>
        property.PropertyType.IsValueType && Nullable.GetUnderlyingType(property.PropertyType) is null
        ? System.Runtime.CompilerServices.RuntimeHelpers.GetUninitializedObject(property.PropertyType)
        : null;

    private readonly record struct Initial(bool IsKnown, object? Value);
}
