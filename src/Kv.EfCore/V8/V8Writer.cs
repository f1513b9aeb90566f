using System.Globalization;
using System.Runtime.CompilerServices;

namespace Kv.V8;

/// <summary>Writes a value in V8's structured-clone format, as V8 itself does, but for the version in the header.</summary>
internal sealed class V8Writer
{
    private readonly V8Output _to = new();
    private readonly Dictionary<V8Value, uint> _ids = new(ReferenceEqualityComparer.Instance);

    public byte[] Write(V8Value value)
    {
        _to.Byte(V8Tags.Header);
        _to.Varint(V8Tags.Version);
        Value(value);
        return _to.ToArray();
    }

    private void Value(V8Value value)
    {
        if (value is V8Primitive primitive)
        {
            Primitive(primitive);
            return;
        }

        if (_ids.TryGetValue(value, out var id))
        {
            _to.Byte(V8Tags.Reference);
            _to.Varint(id);
            return;
        }

        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw new KvException(
                KvErrorKind.Encoding,
                "The value is nested too deeply to be written for V8. Make it flatter, or store its parts as entries.");
        }

        // A view's buffer begins before it.
        if (value is V8View view)
        {
            Value(view.Buffer);
        }

        _ids.Add(value, (uint)_ids.Count);
        Object(value);
    }

    private void Object(V8Value value)
    {
        switch (value)
        {
            case V8Object plain:
                _to.Byte(V8Tags.Object);
                Properties(plain);
                _to.Byte(V8Tags.ObjectEnd);
                _to.Varint((uint)plain.Properties.Count);
                break;
            case V8Array array:
                Array(array);
                break;
            case V8Date date:
                _to.Byte(V8Tags.Date);
                _to.Double(date.Milliseconds);
                break;
            case V8Map map:
                _to.Byte(V8Tags.Map);
                foreach (var (key, item) in map.Entries)
                {
                    Value(key);
                    Value(item);
                }

                _to.Byte(V8Tags.MapEnd);
                _to.Varint((uint)map.Entries.Count * 2);
                break;
            case V8Set set:
                _to.Byte(V8Tags.Set);
                foreach (var item in set.Items)
                {
                    Value(item);
                }

                _to.Byte(V8Tags.SetEnd);
                _to.Varint((uint)set.Items.Count);
                break;
            case V8RegExp expression:
                _to.Byte(V8Tags.RegExp);
                _to.Text(expression.Source);
                _to.Varint((uint)expression.Flags);
                break;
            case V8ArrayBuffer buffer:
                Buffer(buffer);
                break;
            case V8View view:
                _to.Byte(V8Tags.View);
                _to.Varint(V8Tags.LetterOf(view.Type));
                _to.Varint((uint)view.Offset);
                _to.Varint((view.Flags & V8View.TracksLength) != 0 ? 0 : (uint)view.Length);
                _to.Varint((uint)view.Flags);
                break;
            case V8Error error:
                Error(error);
                break;
            case V8Boxed boxed:
                Boxed(boxed.Content);
                break;
            case V8HostObject host:
                _to.Byte(V8Tags.HostObject);
                _to.Varint(V8Tags.DenoHost);
                Value(host.Content);
                break;
            default:
                throw new NotSupportedException($"A {value.Kind} is not written.");
        }
    }

    private void Array(V8Array array)
    {
        _to.Byte(array.IsSparse ? V8Tags.SparseArray : V8Tags.DenseArray);
        _to.Varint(array.Length);
        uint properties = 0;
        if (array.IsSparse)
        {
            foreach (var (index, element) in array.Elements)
            {
                Index(index);
                Value(element);
                properties++;
            }
        }
        else
        {
            foreach (var element in array.Dense)
            {
                if (element is null)
                {
                    _to.Byte(V8Tags.Hole);
                }
                else
                {
                    Value(element);
                }
            }
        }

        if (array.HasProperties)
        {
            Properties(array.Properties);
            properties += (uint)array.Properties.Properties.Count;
        }

        _to.Byte(array.IsSparse ? V8Tags.SparseArrayEnd : V8Tags.DenseArrayEnd);
        _to.Varint(properties);
        _to.Varint(array.Length);
    }

    private void Properties(V8Object of)
    {
        var byIndex = of.Properties.ToLookup(static property => IndexOf(property.Key));
        foreach (var property in byIndex.Where(static group => group.Key is not null).OrderBy(static group => group.Key))
        {
            Index(property.Key!.Value);
            Value(property.Single().Value);
        }

        foreach (var (name, value) in byIndex[null])
        {
            _to.Text(name);
            Value(value);
        }
    }

    private static uint? IndexOf(string name) =>
        name.Length is > 0 and <= 10 && char.IsAsciiDigit(name[0]) && (name[0] != '0' || name.Length == 1)
        && uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index <= V8Tags.LargestIndex
        ? index
        : null;

    private void Index(uint index) => _to.Number(index);

    private void Buffer(V8ArrayBuffer buffer)
    {
        _to.Byte(buffer.MaxLength is null ? V8Tags.ArrayBuffer : V8Tags.ResizableArrayBuffer);
        _to.Varint((uint)buffer.Bytes.Length);
        if (buffer.MaxLength is { } most)
        {
            _to.Varint(most);
        }

        _to.Bytes(buffer.Bytes.Span);
    }

    // Deno requires this order; Node reads any.
    private void Error(V8Error error)
    {
        _to.Byte(V8Tags.Error);
        if (V8Tags.LetterOf(error.Name) is not '\0' and var letter)
        {
            _to.Byte((byte)letter);
        }

        if (error.Message is not null)
        {
            _to.Byte(V8Tags.ErrorMessage);
            _to.Text(error.Message);
        }

        if (error.Stack is not null)
        {
            _to.Byte(V8Tags.ErrorStack);
            _to.Text(error.Stack);
        }

        if (error.Cause is not null)
        {
            _to.Byte(V8Tags.ErrorCause);
            Value(error.Cause);
        }

        _to.Byte(V8Tags.ErrorEnd);
    }

    private void Boxed(V8Primitive content)
    {
        switch (content.Kind)
        {
            case V8Kind.Boolean:
                _to.Byte(content.AsBoolean() ? V8Tags.TrueObject : V8Tags.FalseObject);
                break;
            case V8Kind.Number:
                _to.Byte(V8Tags.NumberObject);
                _to.Double(content.AsDouble());
                break;
            case V8Kind.BigInt:
                _to.Byte(V8Tags.BigIntObject);
                _to.Digits(content.AsBigInteger());
                break;
            default:
                _to.Byte(V8Tags.StringObject);
                _to.Text(content.AsString());
                break;
        }
    }

    private void Primitive(V8Primitive value)
    {
        switch (value.Kind)
        {
            case V8Kind.Undefined:
                _to.Byte(V8Tags.Undefined);
                break;
            case V8Kind.Null:
                _to.Byte(V8Tags.Null);
                break;
            case V8Kind.Boolean:
                _to.Byte(value.AsBoolean() ? V8Tags.True : V8Tags.False);
                break;
            case V8Kind.Number:
                _to.Number(value.AsDouble());
                break;
            case V8Kind.BigInt:
                _to.Byte(V8Tags.BigInt);
                _to.Digits(value.AsBigInteger());
                break;
            default:
                _to.Text(value.AsString());
                break;
        }
    }
}
