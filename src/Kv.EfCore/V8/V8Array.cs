using System.Diagnostics.CodeAnalysis;
using System.Text.Json.Serialization;
using Kv.Keys;
using Kv.V8;

namespace Kv;

/// <summary>An array, of which places may be empty (holes). It takes memory for what is in it, however long it is.</summary>
[SuppressMessage("Naming", "CA1711:Identifiers should not have incorrect suffix", Justification = "It is JavaScript's Array.")]
[JsonConverter(typeof(KvJsonConverter))]
[JsonForm(typeof(V8ValueConverter<V8Array>))]
public sealed class V8Array : V8Value
{
    private readonly List<V8Value?> _elements = [];
    private readonly SortedDictionary<uint, V8Value>? _sparse;
    private V8Object? _properties;
    private uint _length;

    /// <summary>Makes an array.</summary>
    /// <param name="elements">Its elements.</param>
    public V8Array(params IEnumerable<V8Value> elements)
    {
        ArgumentNullException.ThrowIfNull(elements);
        foreach (var element in elements)
        {
            Add(element);
        }
    }

    internal V8Array(uint length, bool isSparse)
    {
        if (isSparse)
        {
            (_sparse, _length) = ([], length);
        }
    }

    /// <inheritdoc />
    public override V8Kind Kind => V8Kind.Array;

    /// <summary>Its length in JavaScript's sense: one more than the last index that may be taken.</summary>
    public uint Length => _sparse is null ? (uint)_elements.Count : _length;

    /// <summary>The elements that are there with their indexes, in ascending order.</summary>
    public IEnumerable<KeyValuePair<uint, V8Value>> Elements => _sparse is not null
        ? _sparse
        : _elements.Select(static (element, index) => new KeyValuePair<uint, V8Value>((uint)index, element!))
            .Where(static e => e.Value is not null);

    /// <summary>Properties that the array has beside its elements. Most have none.</summary>
    public V8Object Properties => _properties ??= new V8Object();

    /// <summary>An element; null for a hole, and past the end.</summary>
    /// <param name="index">Its index.</param>
    public V8Value? this[uint index] => _sparse is not null
        ? _sparse.GetValueOrDefault(index)
        : index < _elements.Count ? _elements[(int)index] : null;

    /// <summary>Adds an element at the end.</summary>
    /// <param name="element">The element.</param>
    public void Add(V8Value element)
    {
        ArgumentNullException.ThrowIfNull(element);
        if (_sparse is null)
        {
            _elements.Add(element);
        }
        else
        {
            _sparse.Add(_length, element);
            _length = checked(_length + 1);
        }
    }

    internal bool IsSparse => _sparse is not null;

    internal bool HasProperties => _properties is { Properties.Count: > 0 };

    internal IReadOnlyList<V8Value?> Dense => _elements;

    internal void AddHole() => _elements.Add(null);

    internal bool TrySet(uint index, V8Value element) => index < _length && _sparse!.TryAdd(index, element);
}
