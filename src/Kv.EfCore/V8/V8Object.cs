using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.V8;

namespace Kv;

/// <summary>A plain object: names with values, in an order.</summary>
/// <remarks>As in JavaScript, a name that is an integer from 0 to 4,294,967,294 is written before the others, in ascending order.</remarks>
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(V8ValueConverter<V8Object>))]
public sealed class V8Object : V8Value
{
    private const int Few = 8;
    private readonly List<KeyValuePair<string, V8Value>> _properties = [];
    private Dictionary<string, int>? _places;

    /// <inheritdoc />
    public override V8Kind Kind => V8Kind.Object;

    /// <summary>The properties, in their order.</summary>
    public IReadOnlyList<KeyValuePair<string, V8Value>> Properties => _properties;

    /// <summary>The value of a property; null where there is none. Setting one that is there keeps its place.</summary>
    /// <param name="name">Its name.</param>
    public V8Value? this[string name]
    {
        get => TryGet(name, out var value) ? value : null;
        set
        {
            ArgumentNullException.ThrowIfNull(value);
            if (!TryAdd(name, value))
            {
                _properties[PlaceOf(name)] = new(name, value);
            }
        }
    }

    /// <summary>Looks for a property.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="value">Its value.</param>
    /// <returns>Whether there is one.</returns>
    public bool TryGet(string name, [NotNullWhen(true)] out V8Value? value)
    {
        ArgumentNullException.ThrowIfNull(name);
        var place = PlaceOf(name);
        value = place < 0 ? null : _properties[place].Value;
        return place >= 0;
    }

    /// <summary>Adds a property.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="value">Its value.</param>
    /// <returns>The object.</returns>
    /// <exception cref="ArgumentException">There is one of that name.</exception>
    public V8Object Add(string name, V8Value value)
    {
        ArgumentNullException.ThrowIfNull(value);
        return TryAdd(name, value)
            ? this
            : throw new ArgumentException($"The object has a property '{name}' already; set it by its name.", nameof(name));
    }

    internal bool TryAdd(string name, V8Value value)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (PlaceOf(name) >= 0)
        {
            return false;
        }

        _properties.Add(new(name, value));
        if (_properties.Count > Few)
        {
            _places ??= Enumerable.Range(0, _properties.Count - 1)
                .ToDictionary(place => _properties[place].Key, static place => place, StringComparer.Ordinal);
            _places.Add(name, _properties.Count - 1);
        }

        return true;
    }

    private int PlaceOf(string name) => _places is { } places
        ? places.GetValueOrDefault(name, -1)
        : _properties.FindIndex(property => string.Equals(property.Key, name, StringComparison.Ordinal));
}
