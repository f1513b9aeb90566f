using System.Text;
using System.Text.Json;
using Kv.Merges;

namespace Kv.Tests.Units;

/// <summary>What the operators that every store has make of JSON, byte for byte.</summary>
public sealed class MergeTests
{
    private static readonly KvJsonSerializer Serializer = new();

    /// <summary>RFC 7396, appendix A: all of its test cases.</summary>
    [Theory]
    [InlineData("""{"a":"b"}""", """{"a":"c"}""", """{"a":"c"}""")]
    [InlineData("""{"a":"b"}""", """{"b":"c"}""", """{"a":"b","b":"c"}""")]
    [InlineData("""{"a":"b"}""", """{"a":null}""", "{}")]
    [InlineData("""{"a":"b","b":"c"}""", """{"a":null}""", """{"b":"c"}""")]
    [InlineData("""{"a":["b"]}""", """{"a":"c"}""", """{"a":"c"}""")]
    [InlineData("""{"a":"c"}""", """{"a":["b"]}""", """{"a":["b"]}""")]
    [InlineData("""{"a":{"b":"c"}}""", """{"a":{"b":"d","c":null}}""", """{"a":{"b":"d"}}""")]
    [InlineData("""{"a":[{"b":"c"}]}""", """{"a":[1]}""", """{"a":[1]}""")]
    [InlineData("""["a","b"]""", """["c","d"]""", """["c","d"]""")]
    [InlineData("""{"a":"b"}""", """["c"]""", """["c"]""")]
    [InlineData("""{"a":"foo"}""", "null", "null")]
    [InlineData("""{"a":"foo"}""", "\"bar\"", "\"bar\"")]
    [InlineData("""{"e":null}""", """{"a":1}""", """{"e":null,"a":1}""")]
    [InlineData("[1,2]", """{"a":"b","c":null}""", """{"a":"b"}""")]
    [InlineData("{}", """{"a":{"bb":{"ccc":null}}}""", """{"a":{"bb":{}}}""")]
    public void A_merge_patch_gives_what_the_specification_says(string stored, string patch, string result) =>
        Assert.Equal(result, Fold(new PatchMerge(), stored, patch));

    /// <summary>The example of RFC 7396, section 3.</summary>
    [Fact]
    public void A_merge_patch_of_a_document_gives_what_the_specification_says()
    {
        const string Stored = """
            {
                "title": "Goodbye!",
                "author": {"givenName": "John", "familyName": "Doe"},
                "tags": ["example", "sample"],
                "content": "This will be unchanged"
            }
            """;
        const string Patch = """
            {
                "title": "Hello!",
                "phoneNumber": "+01-123-456-7890",
                "author": {"familyName": null},
                "tags": ["example"]
            }
            """;

        Assert.Equal(
            """{"title":"Hello!","author":{"givenName":"John"},"tags":["example"],"content":"This will be unchanged","""
            + "\"phoneNumber\":\"+01-123-456-7890\"}",
            Fold(new PatchMerge(), Stored, Patch));
    }

    [Theory]
    [InlineData(null, """{"a":1,"b":null,"c":{"d":null}}""", """{"a":1,"c":{}}""")]
    [InlineData("""{"a":1e2,"ä":"<&\u00e9>"}""", """{"é<":1.50}""", """{"a":1e2,"ä":"<&é>","é<":1.50}""")]
    [InlineData("""{"a":1,"a":2}""", """{"b":3,"b":4}""", """{"a":2,"b":4}""")]
    public void A_merge_patch_of_nothing_of_numbers_and_of_names_that_are_there_twice(string? stored, string patch, string result) =>
        Assert.Equal(result, Fold(new PatchMerge(), stored, patch));

    [Theory]
    [InlineData(null, "1", "[1]")]
    [InlineData("[ ]", "1", "[1]")]
    [InlineData(" [1, 2 ]\n", " {\"a\":[]} ", """[1, 2 ,{"a":[]}]""")]
    [InlineData("[[]]", "[]", "[[],[]]")]
    public void An_append_adds_one_element(string? stored, string element, string result) =>
        Assert.Equal(result, Fold(new AppendMerge(), stored, element));

    [Theory]
    [InlineData(null, "\"a\"", "\"a\"")]
    [InlineData("\"\"", "\"\"", "\"\"")]
    [InlineData(" \"a\\\\\" ", "\"\\\"b\"", "\"a\\\\\\\"b\"")]
    [InlineData("\"ä\"", "\"😀\"", "\"ä😀\"")]
    public void A_concatenation_puts_one_string_behind_the_other(string? stored, string text, string result) =>
        Assert.Equal(result, Fold(new ConcatMerge(), stored, text));

    [Theory]
    [InlineData(null, "[1,1,2]", "[1,2]")]
    [InlineData("[]", "[]", "[]")]
    [InlineData("[1,2]", "[2,3]", "[1,2,3]")]
    [InlineData("[1,1]", "[1.0,10e-1,2]", "[1,1,2]")]
    [InlineData("""["a"]""", """["\u0061","A"]""", """["a","A"]""")]
    [InlineData("""[{"a":1,"b":[2]}]""", """[{"b":[2.0],"a":1},{"b":[2],"a":2}]""", """[{"a":1,"b":[2]},{"b":[2],"a":2}]""")]
    [InlineData("[null,true]", "[false,null,\"null\"]", "[null,true,false,\"null\"]")]
    [InlineData("[1e400,-0]", "[2e400,0,10e399]", "[1e400,-0,2e400]")]
    public void A_union_adds_what_means_something_new(string? stored, string added, string result) =>
        Assert.Equal(result, Fold(new UnionMerge(), stored, added));

    [Fact]
    public void An_element_that_would_make_its_list_too_deep_to_be_read_is_refused()
    {
        var shallow = new KvJsonSerializer(new JsonSerializerOptions { MaxDepth = 3 });
        var (fits, deep) = (Json("[[1]]"), Json("[[[1]]]"));

        var error = Assert.Throws<KvException>(() => new AppendMerge().Serialize(deep, shallow));
        var stored = new AppendMerge().Fold(null, new AppendMerge().Serialize(fits, shallow), shallow);

        Assert.Equal(KvErrorKind.Type, error.Kind);
        Assert.Equal(1, shallow.Deserialize<int[][][]>(stored)![0][0][0]);
    }

    [Fact]
    public void A_merge_patch_takes_objects_as_deep_as_the_serializer_reads()
    {
        var deep = string.Concat(Enumerable.Repeat("""{"a":""", 64)) + "1" + new string('}', 64);

        Assert.Equal(deep, Fold(new PatchMerge(), deep, deep));
        Assert.Throws<KvException>(() => Fold(new PatchMerge(), deep, $$"""{"a":{{deep}}}"""));
    }

    private static string Fold(MergeOperator merge, string? stored, string operand) => Encoding.UTF8.GetString(
        merge.Fold(stored is null ? null : Json(stored), merge.Serialize(Json(operand), Serializer), Serializer).Bytes.Span);

    private static KvValue Json(string text) => new(Encoding.UTF8.GetBytes(text), KvEncoding.Json);
}
