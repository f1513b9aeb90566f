using System.Collections;
using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Collections.ObjectModel;
using System.Collections.Specialized;
using System.Drawing;
using System.Net;
using System.Numerics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Kv.Tests.Units;

/// <summary>A value comes back whole, or is refused before anything is stored.</summary>
public sealed partial class WholeValueTests
{
    private readonly KvJsonSerializer _serializer = new();

    private static object[] ComesBack =>
    [
        (1, "x"),
        (1, 2, 3, 4, 5, 6, 7, 8, "nine"),
        Tuple.Create(1, "x"),
        BigInteger.Pow(10, 40),
        -BigInteger.Pow(7, 300),
        new Dictionary<BigInteger, int> { [BigInteger.Pow(10, 30)] = 1 },
        new Vector3(1, 2, 3),
        new Fields { Number = 3, Text = "x" },
        new Empty(),
        new EmptyClass(),
        new Computed("a", "b"),
        new Kept(5),
        new Written { Amount = 2.50m },
        new HandWritten { Celsius = 21.5 },
        new Ignoring { Kept = 1, Left = 2 },
        new Notifying { Number = 4 },
        new { A = 1, B = "x" },
        double.NaN,
        float.NegativeInfinity,
        Half.PositiveInfinity,
        -0.0,
        new[] { 1.0, double.NaN },
        Int128.MaxValue,
        UInt128.MaxValue,
        decimal.MaxValue,
        1.50m,
        DayOfWeek.Friday,
        'x',
        "a\uFFFDb",
        "😀",
        new DateTime(2026, 3, 4, 5, 6, 7, DateTimeKind.Utc),
        new DateTime(2026, 3, 4, 5, 6, 7, DateTimeKind.Unspecified),
        new DateTimeOffset(2026, 3, 4, 5, 6, 7, TimeSpan.FromHours(2)),
        new DateOnly(2026, 3, 4),
        TimeSpan.FromTicks(1),
        new Uri("/relative", UriKind.Relative),
        new Version(1, 2, 3),
        Guid.Empty,
        new Rectangle(1, 2, 3, 4),
        new KeyValuePair<string, int>("a", 1),
        new Queue<int>([1, 2, 3]),
        new LinkedList<int>([1, 2, 3]),
        new SortedDictionary<int, string> { [2] = "b", [1] = "a" },
        ImmutableArray.Create(1, 2),
        ImmutableList.Create(1, 2),
        ImmutableDictionary<string, int>.Empty.Add("a", 1),
        new int[][] { [1], [2, 3] },
        new Dictionary<Guid, (int, int)> { [Guid.Empty] = (1, 2) },
        new List<Animal> { new("Tom") },
        new Own(["a", "b"]),
        new Bag { 1, 2 },
        KvKey.Create(["a", 42L, 7.0, true]),
    ];

    private static (object Value, string Says)[] Lost =>
    [
        (new Private(3), "'_number' is not in the JSON of Kv.Tests.Units.WholeValueTests+Private"),
        (new GetOnly("x"), "'Text' is written, and nothing reads it back"),
        (new PrivateSet(3), "'Number' is written, and nothing reads it back"),
        (new GetOnlyList { Lines = { "a" } }, "'Lines' is written, and nothing reads it back"),
        (new ReadOnlyField(3), "'Number' is written, and nothing reads it back"),
        (new Mismatched([1]), "parameter 'items'"),
        (new ReadOnlyMoney(3), "'Amount' is written"),
        (Factory.Create(), "cannot be read again"),
        (new Shadowing { Number = 1 }, "is hidden"),
        (new Complex(1, 2), "System.Numerics.Complex"),
        (new Vector<int>(3), "System.Numerics.Vector<System.Int32>"),
        (new StringBuilder("x"), "System.Text.StringBuilder"),
        (new MemoryStream([1]), "System.IO.MemoryStream"),
        (Task.FromResult(3), "System.Threading.Tasks.Task<System.Int32>"),
        (new Lazy<int>(3), "System.Lazy<System.Int32>"),
        (new Rune('x'), "System.Text.Rune"),
        (Color.Red, "System.Drawing.Color"),
        (IPAddress.Loopback, "System.Net.IPAddress"),
        ((nint)3, "System.IntPtr"),
        (typeof(string), "System.RuntimeType"),
        ((Action)(static () => { }), "System.Action"),
        (new int[,] { { 1 } }, "System.Int32[,]"),
        (new Stack<int>([1, 2]), "upside down"),
        (new ConcurrentStack<int>([1, 2]), "upside down"),
        (ImmutableStack.Create(1), "upside down"),
        (new BitArray(3), "System.Collections.BitArray"),
        (new NameValueCollection { ["a"] = "b" }, "System.Collections.Specialized.NameValueCollection"),
        (new PriorityQueue<string, int>(), "System.Collections.Generic.PriorityQueue<System.String,System.Int32>"),
        (new ReadOnlyCollection<int>([1]), "cannot be read again"),
        (Enumerable.Range(1, 1).ToLookup(static n => n), "cannot be read again"),
        (Enumerable.Range(1, 2).AsQueryable(), "cannot be read again"),
        (new Dictionary<object, int> { [1] = 1 }, "the keys"),
        (new Dictionary<Animal, int> { [new("Tom")] = 1 }, "Dictionary"),
        (new NamedList { Name = "x" }, "'Name'"),
        (new NamedBag("x"), "cannot be read again"),
        (new List<Animal> { new Dog("Rex", "pug") }, "a Kv.Tests.Units.WholeValueTests+Dog stands where a Kv.Tests.Units.WholeValueTests+Animal is declared"),
        (new List<Animal> { new Cat("Tom") }, "Cat stands where"),
        (new Dictionary<string, INamed> { ["a"] = new Dog("Rex", "pug") }, "Dog stands where"),
        (new Owner(new Dog("Rex", "pug")), "Dog stands where"),
        (new Owner(null) { Named = new Dog("Rex", "pug") }, "Dog stands where"),
        (new Holder(new Private(1)), "'_number'"),
        (new List<object> { 1, new Private(1) }, "'_number'"),
        (new Dictionary<string, Private> { ["a"] = new(1) }, "'_number'"),
        ((1, new Private(1)), "'_number'"),
        (new Holder(new List<IEnumerable<int>> { new NamedList { Name = "x" } }), "'Name'"),
        ("a\uD800b", "U+D800 at position 1, which is half of a surrogate pair"),
        ("\uFFFD\uDC00", "U+DC00 at position 1"),
        ('\uD83D', "U+D83D"),
        (new Dictionary<string, int> { ["\uDC00"] = 1 }, "U+DC00"),
        (new Holder("x\uD83D"), "U+D83D"),
        (JsonValue.Create("x\uD83D"), "U+D83D"),
        (Node.Cycle(), "cycle"),
    ];

    [Fact]
    public void What_JSON_can_hold_comes_back_as_it_was() => Assert.All(ComesBack, value =>
    {
        var stored = Generic(value);

        Assert.NotEqual("{}", value is Empty or EmptyClass ? "" : Text(stored));
        Assert.Equivalent(value, Read(value.GetType(), stored), strict: true);
        Assert.Equal(stored, Generic(Read(value.GetType(), stored)!));
        Assert.Equal(stored, _serializer.Serialize(value));
    });

    [Fact]
    public void What_JSON_would_lose_is_refused_and_named() => Assert.All(Lost, lost =>
    {
        foreach (var write in (Func<object, KvValue>[])[Generic, _serializer.Serialize])
        {
            var error = Assert.Throws<KvException>(() => write(lost.Value));
            Assert.Equal(KvErrorKind.Encoding, error.Kind);
            Assert.Contains(lost.Says, error.Message, StringComparison.OrdinalIgnoreCase);
        }
    });

    [Fact]
    public void A_value_is_stored_as_what_it_is_and_not_as_what_it_is_passed_as()
    {
        const string Rex = """{"Breed":"pug","Name":"Rex"}""";
        var dog = new Dog("Rex", "pug");

        Assert.Equal(Rex, Text(_serializer.Serialize<INamed>(dog)));
        Assert.Equal(Rex, Text(_serializer.Serialize<Animal>(dog)));
        Assert.Equal(Rex, Text(_serializer.Serialize<object>(dog)));
        Assert.Equal(KvEncoding.UInt64, _serializer.Serialize<object>(5UL).Encoding);
        Assert.Equal(KvEncoding.Bytes, _serializer.Serialize<object>(new byte[] { 1 }).Encoding);
        Assert.Equal("[1,2]", Text(_serializer.Serialize(Enumerable.Range(1, 2).Where(static n => n > 0))));
        Assert.Equal("""{"a":[1,2]}""", Text(_serializer.Serialize(new Dictionary<string, object> { ["a"] = Enumerable.Range(1, 2).Where(static n => n > 0) })));
        Assert.Equal(dog, _serializer.Deserialize<Dog>(_serializer.Serialize<INamed>(dog)));
    }

    [Fact]
    public void A_declared_type_that_keeps_the_types_of_its_values_is_stored_by_itself()
    {
        var value = _serializer.Serialize<Shape>(new Circle(2));

        Assert.Equal("""{"$type":"circle","Radius":2}""", Text(value));
        Assert.Equal(new Circle(2), _serializer.Deserialize<Shape>(value));
        Assert.Equal([new Circle(1), new Square(2)], _serializer.Deserialize<List<Shape>>(_serializer.Serialize(new List<Shape> { new Circle(1), new Square(2) })));
        Assert.Contains("Triangle", Assert.Throws<KvException>(() => _serializer.Serialize<Shape>(new Triangle(3))).Message, StringComparison.Ordinal);
        Assert.Equal(new Triangle(3), _serializer.Deserialize<Triangle>(_serializer.Serialize<object>(new Triangle(3))));
    }

    [Fact]
    public void The_callers_own_options_are_watched_as_well()
    {
        var camel = new KvJsonSerializer(new JsonSerializerOptions { PropertyNamingPolicy = JsonNamingPolicy.CamelCase });
        var generated = new KvJsonSerializer(WholeContext.Default.Options);

        foreach (var serializer in (KvJsonSerializer[])[camel, generated])
        {
            Assert.Equal("""{"celsius":3}""", Text(serializer.Serialize(new HandWritten { Celsius = 3 })));
            Assert.Equal("""{"text":"a"}""", Text(serializer.Serialize(new Shown("a"))));
            Assert.Contains("IncludeFields", Refused(() => serializer.Serialize((1, "x"))), StringComparison.Ordinal);
            Assert.Contains("'_number'", Refused(() => serializer.Serialize(new Private(3))), StringComparison.Ordinal);
            Assert.Contains("'Text' is written", Refused(() => serializer.Serialize(new GetOnly("x"))), StringComparison.Ordinal);
            Assert.Contains("Dog", Refused(() => serializer.Serialize(new List<Animal> { new Dog("Rex", "pug") })), StringComparison.Ordinal);
            Assert.Contains("U+D800", Refused(() => serializer.Serialize(new Shown("\uD800"))), StringComparison.Ordinal);
            Refused(() => serializer.Serialize(new Written { Amount = 1, Rate = double.NaN }));
        }

        Assert.Contains("Version", Refused(() => generated.Serialize(new Version(1, 0))), StringComparison.Ordinal);
        Assert.Equal(BigInteger.Pow(10, 40), camel.Deserialize<BigInteger>(camel.Serialize(BigInteger.Pow(10, 40))));

        static string Refused(Func<KvValue> write)
        {
            var error = Assert.Throws<KvException>(write);
            Assert.Equal(KvErrorKind.Encoding, error.Kind);
            return error.Message;
        }
    }

    [Theory]
    [InlineData("""{"Radius":2}""", typeof(Shape))]
    [InlineData("""{"Name":"Rex"}""", typeof(INamed))]
    [InlineData("\"\\uD800\"", typeof(string))]
    [InlineData("""{"Text":null}""", typeof(Picky))]
    [InlineData("[1]", typeof(FrozenSet<int>))]
    [InlineData("1e999999", typeof(BigInteger))]
    [InlineData("1.5", typeof(BigInteger))]
    public void What_cannot_be_read_is_one_kind_of_error(string json, Type type)
    {
        var error = Assert.Throws<KvException>(() => Read(type, new KvValue(Encoding.UTF8.GetBytes(json), KvEncoding.Json)));

        Assert.Equal(KvErrorKind.Encoding, error.Kind);
    }

    [Fact]
    public void A_collection_that_cannot_be_read_again_is_refused_by_its_declared_type()
    {
        Refused<FrozenSet<int>>(Enumerable.Range(1, 1).ToFrozenSet());
        Refused<IReadOnlySet<int>>(new HashSet<int> { 1 });
        Refused<ILookup<int, int>>(Enumerable.Range(1, 1).ToLookup(static n => n));
        Refused<IEnumerable<IGrouping<int, int>>>(Enumerable.Range(1, 1).GroupBy(static n => n));
        Assert.Equal("[1]", Text(_serializer.Serialize<IReadOnlyList<int>>(new ReadOnlyCollection<int>([1]))));

        void Refused<T>(T value) => Assert.Contains("cannot be read again", Assert.Throws<KvException>(() => _serializer.Serialize(value)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_JSON_by_reflection_and_without_a_context_the_error_says_what_to_do_and_bytes_and_counters_pass()
    {
        foreach (var options in (JsonSerializerOptions?[])[null, new JsonSerializerOptions()])
        {
            var serializer = new KvJsonSerializer(options, reflects: false);
            var value = new KvValue("1"u8, KvEncoding.Json);

            foreach (var act in (Action[])[() => serializer.Serialize(1), () => serializer.Serialize<object>("x"), () => serializer.Deserialize<int>(value)])
            {
                var error = Assert.Throws<KvException>(act);
                Assert.Equal(KvErrorKind.Encoding, error.Kind);
                Assert.Contains(nameof(KvJsonSerializer), error.Message, StringComparison.Ordinal);
                Assert.Contains("#:property PublishAot=false", error.Message, StringComparison.Ordinal);
            }

            Assert.Equal(5UL, serializer.Deserialize<ulong>(serializer.Serialize(5UL)));
            Assert.Equal([1], serializer.Deserialize<byte[]>(serializer.Serialize(new byte[] { 1 })));
        }

        Assert.Equal(new Shown("a"), new KvJsonSerializer(WholeContext.Default.Options, reflects: false).Deserialize<Shown>(new KvValue("""{"text":"a"}"""u8, KvEncoding.Json)));
    }

    private static string Text(KvValue value) => Encoding.UTF8.GetString(value.Bytes.Span);

    private KvValue Generic(object value) => (KvValue)Call(nameof(IKvValueSerializer.Serialize), value.GetType(), value)!;

    private object? Read(Type type, KvValue value) => Call(nameof(IKvValueSerializer.Deserialize), type, value);

    private object? Call(string method, Type type, object argument) => typeof(IKvValueSerializer).GetMethod(method)!.MakeGenericMethod(type)
        .Invoke(_serializer, System.Reflection.BindingFlags.DoNotWrapExceptions, null, [argument], null);

    [JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
    [JsonSerializable(typeof(HandWritten))]
    [JsonSerializable(typeof(Written))]
    [JsonSerializable(typeof(Shown))]
    [JsonSerializable(typeof(Private))]
    [JsonSerializable(typeof(GetOnly))]
    [JsonSerializable(typeof((int, string)))]
    [JsonSerializable(typeof(List<Animal>))]
    private sealed partial class WholeContext : JsonSerializerContext;
}
