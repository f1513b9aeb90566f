using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kv.Tests.Units;

/// <summary>A property that is left out of the JSON for some of its values comes back as it was, or the object is refused.</summary>
public sealed class OmittedPropertyTests
{
    private readonly KvJsonSerializer _serializer = new();

    [Theory]
    [InlineData(0, null, "'Retries' of Kv.Tests.Units.OmittedPropertyTests+Options")]
    [InlineData(3, null, null)]
    [InlineData(5, "x", null)]
    public void A_value_that_is_left_out_is_what_a_new_object_has_or_is_refused(int retries, string? note, string? refused)
    {
        var value = new Options { Retries = retries, Note = note };
        if (refused is null)
        {
            Assert.Equal(value, _serializer.Deserialize<Options>(_serializer.Serialize(value)));
        }
        else
        {
            Assert.Contains(refused, Assert.Throws<KvException>(() => _serializer.Serialize(value)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_null_that_is_left_out_where_a_new_object_has_something_is_refused()
    {
        var error = Assert.Throws<KvException>(() => _serializer.Serialize(new Named { Name = null }));

        Assert.Equal(KvErrorKind.Encoding, error.Kind);
        Assert.Contains("'Name'", error.Message, StringComparison.Ordinal);
        Assert.Contains("nobody", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_parameter_of_a_constructor_that_is_left_out_comes_back_as_its_own_default()
    {
        Assert.Equal(new Limited(), _serializer.Deserialize<Limited>(_serializer.Serialize(new Limited())));
        var error = Assert.Throws<KvException>(() => _serializer.Serialize(new Limited(0)));
        Assert.Contains("'Limit'", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(JsonIgnoreCondition.WhenWritingNull, false)]
    [InlineData(JsonIgnoreCondition.WhenWritingDefault, true)]
    public void What_the_callers_options_leave_out_is_looked_at_as_well(JsonIgnoreCondition condition, bool refused)
    {
        var serializer = new KvJsonSerializer(new JsonSerializerOptions { DefaultIgnoreCondition = condition });

        Assert.Equal(refused, Record.Exception(() => serializer.Serialize(new Plain { Number = 0 })) is KvException);
        Assert.Equal(2, serializer.Deserialize<Plain>(serializer.Serialize(new Plain { Number = 2 }))!.Number);
        Assert.Equal(0, serializer.Deserialize<Always>(serializer.Serialize(new Always { Number = 0 }))!.Number);
    }

    private sealed record Options
    {
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
        public int Retries { get; init; } = 3;

        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public string? Note { get; init; }
    }

    private sealed record Named
    {
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public string? Name { get; init; } = "nobody";
    }

    private sealed record Limited([property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int Limit = 10);

    private sealed class Plain
    {
        public int Number { get; set; } = 1;
    }

    private sealed class Always
    {
        [JsonIgnore(Condition = JsonIgnoreCondition.Never)]
        public int Number { get; set; } = 1;
    }
}
