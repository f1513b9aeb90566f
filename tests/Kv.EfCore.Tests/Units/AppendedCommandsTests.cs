using Kv.PostgreSql;

namespace Kv.Tests.Units;

/// <summary>Which commands of saves are prepared.</summary>
public sealed class AppendedCommandsTests
{
    private readonly AppendedCommands _commands = new();

    [Fact]
    public void A_text_is_prepared_from_its_sixth_time_on()
    {
        Assert.Equal(
            [false, false, false, false, false, true, true], Enumerable.Range(0, 7).Select(_ => _commands.IsWorthPreparing("insert")));
    }

    [Fact]
    public void A_long_text_is_never_prepared()
    {
        Assert.DoesNotContain(true, Enumerable.Range(0, 10).Select(_ => _commands.IsWorthPreparing(new string('x', 4097))));
        Assert.Contains(true, Enumerable.Range(0, 10).Select(_ => _commands.IsWorthPreparing(new string('x', 4096))));
    }

    [Fact]
    public void A_hundred_texts_are_prepared_at_the_most_and_stay_so()
    {
        for (var i = 0; i < 10; i++)
        {
            for (var text = 0; text < 150; text++)
            {
                var isPrepared = i >= AppendedCommands.UsesBeforePreparing && text < AppendedCommands.MostPrepared;
                Assert.Equal(isPrepared, _commands.IsWorthPreparing($"{text}"));
            }
        }
    }

    [Fact]
    public void Texts_beyond_a_thousand_are_not_kept()
    {
        for (var text = 0; text < 1000; text++)
        {
            _commands.IsWorthPreparing($"{text}");
        }

        Assert.DoesNotContain(true, Enumerable.Range(0, 10).Select(_ => _commands.IsWorthPreparing("one more")));
        Assert.Contains(true, Enumerable.Range(0, 10).Select(_ => _commands.IsWorthPreparing("999")));
    }

    [Fact]
    public void A_session_is_tried_once_it_has_put_messages_in_by_itself()
    {
        Assert.False(_commands.IsTried("server/shop/1"));
        _commands.Tried("server/shop/1");
        Assert.True(_commands.IsTried("server/shop/1"));
        Assert.False(_commands.IsTried("server/shop/2"));
    }
}
