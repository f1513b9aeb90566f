using System.Buffers;
using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Kv.V8;

/// <summary>Writes a value of JavaScript's as JSON: for people, and for the contracts of .NET's types.</summary>
internal sealed class V8Json
{
    /// <summary>In bytes. A value that refers to one object again and again could become as long as it likes.</summary>
    private const long LongestRepeats = 10 << 20;

    private const long MostHoles = 100_000;
    private static readonly JsonWriterOptions Options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        SkipValidation = true,
    };

    private readonly Utf8JsonWriter _to;
    private readonly HashSet<V8Value> _seen = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<V8Value> _open = new(ReferenceEqualityComparer.Instance);
    private long _repeats;
    private long _repeatsFrom = -1;
    private long _holes;

    private V8Json(Utf8JsonWriter to) => _to = to;

    private long Written => _to.BytesCommitted + _to.BytesPending;

    public static string ToText(V8Value value) => Encoding.UTF8.GetString(ToUtf8(value));

    public static ReadOnlySpan<byte> ToUtf8(V8Value value)
    {
        var bytes = new ArrayBufferWriter<byte>();
        using (var to = new Utf8JsonWriter(bytes, Options))
        {
            new V8Json(to).Write(value);
        }

        return bytes.WrittenSpan;
    }

    private void Write(V8Value value)
    {
        if (_repeatsFrom >= 0 && _repeats + Written - _repeatsFrom > LongestRepeats)
        {
            throw Refusal("refers to the same objects so often that it would become far longer than it is");
        }

        if (value is V8Primitive primitive)
        {
            Primitive(primitive);
            return;
        }

        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
        {
            throw Refusal("is nested too deeply");
        }

        if (!_open.Add(value))
        {
            throw Refusal("refers to itself");
        }

        var repeats = !_seen.Add(value) && _repeatsFrom < 0;
        _repeatsFrom = repeats ? Written : _repeatsFrom;
        Object(value);
        if (repeats)
        {
            (_repeats, _repeatsFrom) = (_repeats + Written - _repeatsFrom, -1);
        }

        _open.Remove(value);
    }

    private void Object(V8Value value)
    {
        switch (value)
        {
            case V8Object plain:
                Members(plain.Properties);
                break;
            case V8HostObject host:
                Write(host.Content);
                break;
            case V8Array array:
                Elements(array);
                break;
            case V8Date date:
                Date(date);
                break;
            case V8Map map when NamesOf(map) is { } names:
                Members(names);
                break;
            case V8Map map:
                _to.WriteStartArray();
                foreach (var (key, item) in map.Entries)
                {
                    _to.WriteStartArray();
                    Write(key);
                    Write(item);
                    _to.WriteEndArray();
                }

                _to.WriteEndArray();
                break;
            case V8Set set:
                _to.WriteStartArray();
                foreach (var item in set.Items)
                {
                    Write(item);
                }

                _to.WriteEndArray();
                break;
            case V8RegExp expression:
                _to.WriteStringValue(V8Text.Of(expression));
                break;
            case V8ArrayBuffer buffer:
                _to.WriteBase64StringValue(buffer.Bytes.Span);
                break;
            case V8View view:
                View(view);
                break;
            case V8Error error:
                Error(error);
                break;
            case V8Boxed boxed:
                Primitive(boxed.Content);
                break;
        }
    }

    private void Elements(V8Array array)
    {
        _to.WriteStartArray();
        uint next = 0;
        foreach (var (index, element) in array.Elements)
        {
            Holes(index - next);
            Write(element);
            next = index + 1;
        }

        Holes(array.Length - next);
        _to.WriteEndArray();
    }

    private void Holes(uint count)
    {
        if ((_holes += count) > MostHoles)
        {
            throw Refusal($"has arrays with more than {MostHoles} holes");
        }

        for (; count > 0; count--)
        {
            _to.WriteNullValue();
        }
    }

    private void Members(IEnumerable<KeyValuePair<string, V8Value>> members)
    {
        _to.WriteStartObject();
        foreach (var (name, value) in members)
        {
            if (value.Kind != V8Kind.Undefined)
            {
                _to.WritePropertyName(V8Text.WellFormed(name));
                Write(value);
            }
        }

        _to.WriteEndObject();
    }

    private static List<KeyValuePair<string, V8Value>>? NamesOf(V8Map map)
    {
        List<KeyValuePair<string, V8Value>> names = [];
        HashSet<string> taken = new(StringComparer.Ordinal);
        foreach (var (key, value) in map.Entries)
        {
            if (key is not V8Primitive { Kind: V8Kind.String or V8Kind.Number or V8Kind.BigInt or V8Kind.Boolean } name
                || !taken.Add(V8Text.Of(name)))
            {
                return null;
            }

            names.Add(new(V8Text.Of(name), value));
        }

        return names;
    }

    private void Date(V8Date date)
    {
        if (date.Moment is { } moment)
        {
            _to.WriteStringValue(moment.UtcDateTime);
        }
        else
        {
            _to.WriteNullValue();
        }
    }

    private void View(V8View view)
    {
        if (view.Type is V8ViewType.Uint8 or V8ViewType.Uint8Clamped or V8ViewType.DataView)
        {
            _to.WriteBase64StringValue(view.Bytes.Span);
            return;
        }

        _to.WriteStartArray();
        foreach (var number in V8Numbers.Of(view))
        {
            Primitive(number);
        }

        _to.WriteEndArray();
    }

    private void Error(V8Error error)
    {
        _to.WriteStartObject();
        _to.WriteString("name", error.Name);
        _to.WriteString("message", V8Text.WellFormed(error.Message ?? ""));
        if (error.Stack is not null)
        {
            _to.WriteString("stack", V8Text.WellFormed(error.Stack));
        }

        if (error.Cause is not null)
        {
            _to.WritePropertyName("cause");
            Write(error.Cause);
        }

        _to.WriteEndObject();
    }

    private void Primitive(V8Primitive value)
    {
        switch (value.Kind)
        {
            case V8Kind.Boolean:
                _to.WriteBooleanValue(value.AsBoolean());
                break;
            case V8Kind.Number:
                Number(value.AsDouble());
                break;
            case V8Kind.BigInt:
                _to.WriteRawValue(value.AsBigInteger().ToString(CultureInfo.InvariantCulture), skipInputValidation: true);
                break;
            case V8Kind.String:
                _to.WriteStringValue(V8Text.WellFormed(value.AsString()));
                break;
            default:
                _to.WriteNullValue();
                break;
        }
    }

    // Integers without a fraction or an exponent, so that they can be read as integers; what is no number, by its name.
    private void Number(double number)
    {
        if (!double.IsFinite(number))
        {
            _to.WriteStringValue(number.ToString(CultureInfo.InvariantCulture));
        }
        else if (double.IsInteger(number) && Math.Abs(number) < 1e21 && !(number == 0 && double.IsNegative(number)))
        {
            _to.WriteRawValue(new BigInteger(number).ToString(CultureInfo.InvariantCulture), skipInputValidation: true);
        }
        else
        {
            _to.WriteNumberValue(number);
        }
    }

    private static KvException Refusal(string why) =>
        new(KvErrorKind.Encoding, $"The value {why}, which JSON cannot say. Read it as {nameof(V8Value)}.");
}
