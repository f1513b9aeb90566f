using System.Text.Json.Serialization;

namespace Kv.Tests.Units;

/// <summary>What docs/message-types.md says of types that change while messages of theirs wait.</summary>
public sealed class ChangedTypeTests
{
    private enum Before
    {
        Open,
        Closed,
    }

    private enum After
    {
        Open,
        Closed,
        Lost,
    }

    [Fact]
    public void A_property_that_was_added_has_its_default_and_one_that_is_not_known_is_passed_over()
    {
        Assert.Equal(new Added(1, null, 5), Change<Base, Added>(new Base(1)));
        Assert.Equal(new Base(1), Change<Added, Base>(new Added(1, "note", 7)));
    }

    [Fact]
    public void A_required_property_that_was_added_cannot_be_read_from_before()
    {
        var error = Assert.Throws<KvException>(() => Change<Base, Demanding>(new Base(1)));

        Assert.Equal(KvErrorKind.Encoding, error.Kind);
        Assert.Equal(new Base(1), Change<Demanding, Base>(new Demanding { Id = 1, Note = "note" }));
    }

    [Fact]
    public void A_property_whose_name_changed_is_read_by_its_old_one() => Assert.Equal(new Renamed(1), Change<Base, Renamed>(new Base(1)));

    [Fact]
    public void A_number_becomes_a_wider_or_a_nullable_one_and_is_read_back_while_it_fits()
    {
        Assert.Equal(new Wide(1, 2), Change<Narrow, Wide>(new Narrow(1, 2)));
        Assert.Equal(new Narrow(1, 2), Change<Wide, Narrow>(new Wide(1, 2)));
        Assert.Throws<KvException>(() => Change<Wide, Narrow>(new Wide(long.MaxValue, 2)));
        Assert.Throws<KvException>(() => Change<Wide, Narrow>(new Wide(1, null)));
    }

    [Fact]
    public void A_value_of_another_kind_cannot_be_read() =>
        Assert.Equal(KvErrorKind.Encoding, Assert.Throws<KvException>(() => Change<Base, Worded>(new Base(1))).Kind);

    [Fact]
    public void Members_of_an_enum_are_their_numbers()
    {
        Assert.Equal(After.Closed, Change<Before, After>(Before.Closed));
        Assert.Equal((Before)2, Change<After, Before>(After.Lost));
    }

    private static TNew Change<TOld, TNew>(TOld value)
    {
        var serializer = new KvJsonSerializer();
        return serializer.Deserialize<TNew>(serializer.Serialize(value))!;
    }

    private sealed record Base(int Id);

    private sealed record Added(int Id, string? Note, int Count = 5);

    private sealed record Renamed([property: JsonPropertyName("Id")] int Number);

    private sealed record Narrow(int A, int B);

    private sealed record Wide(long A, int? B);

    private sealed record Worded(string Id);

    private sealed record Demanding
    {
        public int Id { get; init; }

        public required string Note { get; init; }
    }
}
