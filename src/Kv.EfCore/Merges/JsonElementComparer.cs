using System.Text.Json;

namespace Kv.Merges;

/// <summary>JSON is equal when it means the same.</summary>
internal sealed class JsonElementComparer : IEqualityComparer<JsonElement>
{
    public static readonly JsonElementComparer Instance = new();

    public bool Equals(JsonElement x, JsonElement y) => JsonElement.DeepEquals(x, y);

    // Equal elements have equal ones of these: a double loses digits, and an object or array may hold anything.
    public int GetHashCode(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => element.GetString()!.GetHashCode(StringComparison.Ordinal),
        JsonValueKind.Number => element.TryGetDouble(out var number) ? number.GetHashCode() : 0,
        JsonValueKind.Array => HashCode.Combine(JsonValueKind.Array, element.GetArrayLength()),
        JsonValueKind.Object => element.EnumerateObject().Aggregate(
            (int)JsonValueKind.Object,
            (hash, member) => hash ^ HashCode.Combine(member.Name.GetHashCode(StringComparison.Ordinal), GetHashCode(member.Value))),
        var kind => (int)kind,
    };
}
