using Kv.Commits;
using Kv.Messages;
using Kv.PostgreSql;
using Kv.TestKit;

namespace Kv.Tests.Units;

/// <summary>From where this process searches a topic: on from its last message, or from the beginning.</summary>
public sealed class ClaimFloorsTests
{
    private const string Topic = "a";
    private static readonly ClaimFloor Beginning = new(int.MinValue, long.MinValue, "");
    private static readonly TimeSpan Took = TimeSpan.FromMilliseconds(20);
    private readonly ManualTime _time = new();
    private readonly ClaimFloors _floors;

    public ClaimFloorsTests() => _floors = new ClaimFloors(_time);

    [Fact]
    public void After_as_many_as_there_was_room_for_it_goes_on_above_the_last()
    {
        Find(10, last: new ClaimFloor(0, 100, "x"));
        Assert.Equal(new ClaimFloor(0, 100, "x"), _floors.Of(Topic));

        Find(10, last: new ClaimFloor(0, 200, "y"));
        Assert.Equal(new ClaimFloor(0, 200, "y"), _floors.Of(Topic));
    }

    [Fact]
    public void After_fewer_it_begins_anew()
    {
        Find(10, last: new ClaimFloor(0, 100, "x"));
        Find(9, last: new ClaimFloor(0, 200, "y"));

        Assert.Equal(Beginning, _floors.Of(Topic));
    }

    [Fact]
    public void It_goes_on_for_no_longer_than_ten_times_the_last_search_from_the_beginning()
    {
        Find(10, last: new ClaimFloor(0, 100, "x"));

        // From the start of that search, which took a tenth of it itself.
        for (var i = 1; i < 9; i++)
        {
            Find(10, last: new ClaimFloor(0, 100 + i, "x"));
        }

        Assert.NotEqual(Beginning, _floors.Of(Topic));
        _time.Advance(Took);

        Assert.Equal(Beginning, _floors.Of(Topic));
    }

    [Fact]
    public void Only_what_may_lie_below_has_it_begin_anew()
    {
        Find(10, last: new ClaimFloor(5, 100, "x"));
        Observe(new CommitEffects { Messages = { (Message(priority: 5), 0), (Message(priority: 6), 0), (Message(priority: 0) with { Topic = "b" }, 0) } });
        Assert.NotEqual(Beginning, _floors.Of(Topic));

        Observe(new CommitEffects { Messages = { (Message(priority: 4), 0) } });
        Assert.Equal(Beginning, _floors.Of(Topic));
    }

    [Fact]
    public void What_lets_others_of_a_group_go_has_it_begin_anew()
    {
        var fence = new Fence("m", "me", 1);
        List<CommitEffects> letting =
        [
            new CommitEffects { Unblocked = { new MessageGroup(Topic, "g") } },
            new CommitEffects { Removed = { "m" } },
            new CommitEffects { Acknowledged = { (fence, new MessageKeys(Topic, "g", null, 0)) } },
        ];
        foreach (var effects in letting)
        {
            Find(10, last: new ClaimFloor(0, 100, "x"));
            Observe(effects);
            Assert.Equal(Beginning, _floors.Of(Topic));
        }

        Find(10, last: new ClaimFloor(0, 100, "x"));
        Observe(new CommitEffects { Acknowledged = { (fence, new MessageKeys(Topic, null, null, 0)) } });
        Assert.NotEqual(Beginning, _floors.Of(Topic));
    }

    [Fact]
    public void What_is_given_back_has_it_begin_anew()
    {
        Find(10, last: new ClaimFloor(0, 100, "x"));
        var group = new CommitGroup();
        group.Requeues.Add(new RequeueWork(new Fence("m", "me", 1), TimeSpan.Zero, "[]", 0));
        _floors.Observe(group, new CommitEffects());

        Assert.Equal(Beginning, _floors.Of(Topic));
    }

    /// <summary>Claims of a backlog run beside the commits that bring and let go, and do not see what is committed while they search.</summary>
    [Fact]
    public void What_comes_below_while_it_searches_has_it_begin_anew()
    {
        Find(10, last: new ClaimFloor(5, 100, "x"), () => Observe(new CommitEffects { Messages = { (Message(priority: 5), 0), (Message(priority: 6), 0) } }));
        Assert.NotEqual(Beginning, _floors.Of(Topic));

        Find(10, last: new ClaimFloor(5, 200, "y"), () => Observe(new CommitEffects { Messages = { (Message(priority: 4), 0), (Message(priority: 6), 0) } }));
        Assert.Equal(Beginning, _floors.Of(Topic));

        Find(10, last: new ClaimFloor(5, 100, "x"), () => Observe(new CommitEffects { Unblocked = { new MessageGroup(Topic, "g") } }));
        Assert.Equal(Beginning, _floors.Of(Topic));

        // What came during one search is seen by the next.
        Find(10, last: new ClaimFloor(5, 100, "x"));
        Assert.NotEqual(Beginning, _floors.Of(Topic));
    }

    [Fact]
    public void Places_are_in_the_order_of_claims()
    {
        ClaimFloor[] places = [new(0, 1, "b"), new(0, 1, "a"), new(0, 0, "c"), new(-1, 9, "d"), Beginning];
        Array.Sort(places, ClaimFloor.Compare);

        Assert.Equal([Beginning, new(-1, 9, "d"), new(0, 0, "c"), new(0, 1, "a"), new(0, 1, "b")], places);
    }

    private void Find(int count, ClaimFloor last, Action? meanwhile = null)
    {
        var topic = new TopicClaim(Topic, 10, TimeSpan.FromSeconds(30));
        var search = new ClaimPlan.Search(new ClaimWork([topic], 10, "me"), [topic], 10);
        _floors.Begin();
        var (from, startedAt) = (_floors.Of(Topic), _time.GetTimestamp());
        meanwhile?.Invoke();
        _time.Advance(Took);
        _floors.Learn(search, new() { [Topic] = from }, new() { [Topic] = (last, count) }, startedAt);
    }

    private void Observe(CommitEffects effects) => _floors.Observe(new CommitGroup(), effects);

    private static NewMessage Message(int priority) => new("m", [], 4, Topic, "t", 0, "[]", "[]", null) { Priority = priority };
}
