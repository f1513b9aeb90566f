using System.Globalization;

namespace Kv.V8;

/// <summary>Reads a value of V8's structured-clone format: every kind of input is a value or a refusal.</summary>
/// <remarks>
/// The data may come from any program. What is nested is kept in a list and not on the thread's stack, and counts and sizes are compared
/// with the bytes that are left before anything is made of them.
/// </remarks>
internal ref struct V8Reader(ReadOnlySpan<byte> data)
{
    private readonly List<V8Value> _objects = [];
    private readonly Stack<V8Frame> _open = new();
    private V8Input _from = new(data);
    private uint _version;

    /// <exception cref="KvException">The bytes are no value.</exception>
    public V8Value Read()
    {
        if (_from.Left == 0 || _from.Take() != V8Tags.Header)
        {
            throw _from.Defect("there is no header");
        }

        _version = _from.Varint();
        if (_version is < V8Tags.OldestVersion or > V8Tags.NewestVersion)
        {
            throw _from.Defect($"its version is {_version}, and versions {V8Tags.OldestVersion} to {V8Tags.NewestVersion} are read");
        }

        while (true)
        {
            var value = _open.Count == 0 ? Value() : Next(_open.Peek());
            while (value is not null)
            {
                if (_open.Count == 0)
                {
                    return value;
                }

                value = Give(_open.Peek(), value);
            }
        }
    }

    /// <summary>Goes on with what is open: to its next value, or to its end.</summary>
    /// <returns>What is whole; null while something is open that was begun.</returns>
    private V8Value? Next(V8Frame frame)
    {
        switch (frame.Kind)
        {
            case V8FrameKind.Error:
                return ErrorItem(frame);
            case V8FrameKind.Host:
                return Value();
            case V8FrameKind.Elements when frame.Read < frame.Count:
                if (_from.Peek() != V8Tags.Hole)
                {
                    return Value();
                }

                _from.Tag();
                frame.Read++;
                ((V8Array)frame.Value).AddHole();
                return null;
        }

        if (frame.Key is not null)
        {
            return Value();
        }

        if (_from.Peek() == frame.EndTag)
        {
            _from.Tag();
            return End(frame);
        }

        if (frame.Kind is V8FrameKind.Map or V8FrameKind.Set)
        {
            return Value();
        }

        frame.Key = Name();
        return null;
    }

    /// <summary>Puts a value where what is open waits for one.</summary>
    /// <returns>What is whole by it; null if nothing is.</returns>
    private V8Value? Give(V8Frame frame, V8Value value)
    {
        switch (frame.Kind)
        {
            case V8FrameKind.Host:
                ((V8HostObject)frame.Value).Content = value as V8Object ?? throw _from.Defect("an object of Deno's own is no object");
                return _open.Pop().Value;
            case V8FrameKind.Error:
                ((V8Error)frame.Value).Cause = value;
                return null;
            case V8FrameKind.Set:
                ((V8Set)frame.Value).Items.Add(value);
                frame.Read++;
                return null;
            case V8FrameKind.Map when frame.Key is null:
                frame.Key = value;
                return null;
            case V8FrameKind.Map:
                ((V8Map)frame.Value).Entries.Add(new(frame.Key, value));
                (frame.Key, frame.Read) = (null, frame.Read + 2);
                return null;
            case V8FrameKind.Elements when frame.Read < frame.Count:
                ((V8Array)frame.Value).Add(value);
                frame.Read++;
                return null;
            default:
                AddProperty(frame, value);
                return null;
        }
    }

    private void AddProperty(V8Frame frame, V8Value value)
    {
        var key = (V8Primitive)frame.Key!;
        var added = frame.Value switch
        {
            V8Array array when key.Kind == V8Kind.Number => array.IsSparse && array.TrySet(IndexOf(key), value),
            V8Array array => array.Properties.TryAdd(key.AsString(), value),
            V8Object plain => plain.TryAdd(NameOf(key), value),
            _ => false,
        };
        if (!added)
        {
            throw _from.Defect($"the property {NameOf(key)} is there twice, or past the end of its array");
        }

        (frame.Key, frame.Properties) = (null, frame.Properties + 1);
    }

    private V8Value End(V8Frame frame)
    {
        var counted = frame.Kind is V8FrameKind.Map or V8FrameKind.Set ? frame.Read : frame.Properties;
        if (_from.Varint() is var count && count != counted)
        {
            throw _from.Defect($"a count says {count}, and there are {counted}");
        }

        if (frame.Kind is V8FrameKind.Elements or V8FrameKind.Sparse && _from.Varint() is var length && length != frame.Count)
        {
            throw _from.Defect($"an array ends with length {length}, and began with {frame.Count}");
        }

        return _open.Pop().Value;
    }

    /// <summary>Reads a value, or begins one.</summary>
    /// <returns>The value; null if it was begun.</returns>
    private V8Value? Value()
    {
        var value = Begin();
        return value is V8ArrayBuffer buffer && _from.TryPeek() == V8Tags.View ? View(buffer) : value;
    }

    private V8Value? Begin()
    {
        var tag = _from.Tag();
        switch (tag)
        {
            case V8Tags.ObjectCount:
                _from.Varint();
                return Begin();
            case V8Tags.Object:
                return Open(V8FrameKind.Object, new V8Object(), V8Tags.ObjectEnd);
            case V8Tags.Map:
                return Open(V8FrameKind.Map, new V8Map(), V8Tags.MapEnd);
            case V8Tags.Set:
                return Open(V8FrameKind.Set, new V8Set(), V8Tags.SetEnd);
            case V8Tags.Error:
                return Open(V8FrameKind.Error, new V8Error(), V8Tags.ErrorEnd);
            case V8Tags.DenseArray:
                var length = _from.Count("elements");
                return Open(V8FrameKind.Elements, new V8Array(length, isSparse: false), V8Tags.DenseArrayEnd, length);
            case V8Tags.SparseArray:
                var sparse = _from.Varint();
                return Open(V8FrameKind.Sparse, new V8Array(sparse, isSparse: true), V8Tags.SparseArrayEnd, sparse);
            case V8Tags.HostObject:
                return Host();
            case V8Tags.Reference:
                return _from.Varint() is var id && id < _objects.Count
                    ? _objects[(int)id]
                    : throw _from.Defect($"there is no object {id} to refer to");
            case V8Tags.Date:
                return Keep(new V8Date(_from.Double()));
            case V8Tags.RegExp:
                return Keep(RegExp());
            case V8Tags.ArrayBuffer:
                return Keep(new V8ArrayBuffer(_from.Bytes(_from.Count("bytes")).ToArray()));
            case V8Tags.ResizableArrayBuffer:
                return Keep(ResizableBuffer());
            case V8Tags.TrueObject or V8Tags.FalseObject:
                return Keep(new V8Boxed(V8Primitive.Of(tag == V8Tags.TrueObject)));
            case V8Tags.NumberObject:
                return Keep(new V8Boxed((V8Primitive)(V8Value)_from.Double()));
            case V8Tags.BigIntObject:
                return Keep(new V8Boxed((V8Primitive)(V8Value)_from.BigInt()));
            case V8Tags.StringObject:
                return Keep(new V8Boxed((V8Primitive)(V8Value)_from.Text()));
            default:
                return Primitive(tag);
        }
    }

    private V8Value Primitive(byte tag) => tag switch
    {
        V8Tags.Undefined => V8Value.Undefined,
        V8Tags.Null => V8Value.Null,
        V8Tags.True or V8Tags.False => tag == V8Tags.True,
        V8Tags.Int32 => (double)_from.ZigZag(),
        V8Tags.Uint32 => (double)_from.Varint(),
        V8Tags.Double => _from.Double(),
        V8Tags.BigInt => _from.BigInt(),
        V8Tags.Latin1 or V8Tags.Utf16 or V8Tags.Utf8 => _from.Text(tag),
        _ => throw _from.Defect($"no value begins with the byte {tag:X2}"),
    };

    private V8Value? Open(V8FrameKind kind, V8Value value, byte endTag, uint count = 0)
    {
        if (_open.Count == V8Value.MaxDepth)
        {
            throw _from.Defect($"it is nested deeper than {V8Value.MaxDepth}");
        }

        _objects.Add(value);
        _open.Push(new V8Frame(kind, value, endTag, count));
        return null;
    }

    private readonly T Keep<T>(T value)
        where T : V8Value
    {
        _objects.Add(value);
        return value;
    }

    // Ids are given in the order in which objects begin, so one whose members cannot be objects has its id when it is whole.
    private V8RegExp RegExp()
    {
        var source = _from.Text();
        var flags = _from.Varint();
        const V8RegExpFlags All = V8RegExpFlags.Global | V8RegExpFlags.IgnoreCase | V8RegExpFlags.Multiline | V8RegExpFlags.Sticky
            | V8RegExpFlags.Unicode | V8RegExpFlags.DotAll | V8RegExpFlags.HasIndices | V8RegExpFlags.UnicodeSets;
        return (flags & ~(uint)All) == 0
            ? new V8RegExp(source, (V8RegExpFlags)flags)
            : throw _from.Defect($"a regular expression has the flags {flags}");
    }

    private V8ArrayBuffer ResizableBuffer()
    {
        var length = _from.Varint();
        var most = _from.Varint();
        return length <= most && length <= _from.Left
            ? new V8ArrayBuffer(_from.Bytes(length).ToArray(), most)
            : throw _from.Defect($"a buffer has {length} bytes of at most {most}, and {_from.Left} are left");
    }

    private V8View View(V8ArrayBuffer buffer)
    {
        _from.Tag();
        var letter = _from.Varint();
        var (offset, length) = (_from.Varint(), _from.Varint());
        var flags = _version >= 14 ? _from.Varint() : 0;
        var type = V8Tags.ViewOf(letter) ?? throw _from.Defect($"there is no view of the type {letter}");

        // Beside a tracking one no length is told.
        length = (flags & V8View.TracksLength) != 0 && offset <= buffer.Bytes.Length ? (uint)buffer.Bytes.Length - offset : length;
        return offset <= int.MaxValue && length <= int.MaxValue && flags <= (V8View.TracksLength | V8View.Resizable)
            && V8View.Fits(buffer, type, (int)offset, (int)length)
            ? Keep(new V8View(buffer, type, (int)offset, (int)length, (int)flags))
            : throw _from.Defect($"{length} bytes from {offset} on are no {type} elements of a buffer of {buffer.Bytes.Length} bytes");
    }

    private V8Value? Host()
    {
        var index = _from.Varint();
        if (index == V8Tags.DenoHost)
        {
            return Open(V8FrameKind.Host, new V8HostObject(null), endTag: 0);
        }

        var type = V8Tags.NodeViewOf(index) ?? throw _from.Defect($"there is no object of Node's own of the type {index}");
        var buffer = new V8ArrayBuffer(_from.Bytes(_from.Count("bytes")).ToArray());
        return V8View.Fits(buffer, type, 0, buffer.Bytes.Length)
            ? Keep(new V8View(buffer, type, 0, buffer.Bytes.Length))
            : throw _from.Defect($"{buffer.Bytes.Length} bytes are no {type} elements");
    }

    private V8Value? ErrorItem(V8Frame frame)
    {
        var error = (V8Error)frame.Value;
        switch (_from.Varint())
        {
            case V8Tags.ErrorMessage:
                error.Message = _from.Text();
                return null;
            case V8Tags.ErrorStack:
                error.Stack = _from.Text();
                return null;
            case V8Tags.ErrorCause:
                return Value();
            case V8Tags.ErrorEnd:
                return _open.Pop().Value;
            case var letter:
                error.Name = V8Tags.ErrorOf(letter) ?? throw _from.Defect($"there is no item {letter} of an error");
                return null;
        }
    }

    private V8Primitive Name()
    {
        var tag = _from.Tag();
        return tag is V8Tags.Int32 or V8Tags.Uint32 or V8Tags.Double or V8Tags.Latin1 or V8Tags.Utf16 or V8Tags.Utf8
            ? (V8Primitive)Primitive(tag)
            : throw _from.Defect($"a property's name begins with the byte {tag:X2}");
    }

    private readonly string NameOf(V8Primitive key) =>
        key.Kind == V8Kind.String ? key.AsString() : IndexOf(key).ToString(CultureInfo.InvariantCulture);

    private readonly uint IndexOf(V8Primitive key) => key.AsDouble() is >= 0 and <= uint.MaxValue and var number && number == (uint)number
        ? (uint)number
        : throw _from.Defect("a property's name is a number that is no index");
}
