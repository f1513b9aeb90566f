using System.Reflection;

namespace Kv.Tests.Units;

public sealed class MessageAttributeTests
{
    [Fact]
    public void A_message_type_has_a_name_and_may_have_a_topic()
    {
        var attribute = typeof(OrderPlaced).GetCustomAttribute<KvMessageAttribute>()!;

        Assert.Equal(("order-placed", "orders"), (attribute.Name, attribute.Topic));
        Assert.Null(new KvMessageAttribute("x").Topic);
    }

    [Fact]
    public void A_derived_type_needs_a_name_of_its_own() =>
        Assert.Null(typeof(OrderPlacedAgain).GetCustomAttribute<KvMessageAttribute>());

    [Theory]
    [InlineData("")]
    [InlineData("a\nb")]
    [InlineData("\u0085")]
    [InlineData("\u007F")]
    public void Empty_names_and_control_characters_are_refused(string name)
    {
        Assert.Throws<ArgumentException>(() => new KvMessageAttribute(name));
        Assert.Throws<ArgumentException>(() => new KvMessageAttribute("x") { Topic = name });
    }

    [Fact]
    public void A_name_has_at_most_200_characters()
    {
        Assert.Equal(200, new KvMessageAttribute(new string('x', 200)).Name.Length);
        var error = Assert.Throws<ArgumentException>(() => new KvMessageAttribute(new string('x', 201)));
        Assert.StartsWith("The name has 201 characters; 1 to 200 are allowed.", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Null_is_no_name() => Assert.Throws<ArgumentNullException>(() => new KvMessageAttribute(null!));

    [KvMessage("order-placed", Topic = "orders")]
    private class OrderPlaced;

    private sealed class OrderPlacedAgain : OrderPlaced;
}
