using Kv.Changes;
using Kv.Connections;
using Kv.TestKit;

namespace Kv.Tests.Units;

/// <summary>What a process knows of versions, and what it makes of a database that has gone back.</summary>
public sealed class SeenVersionsTests
{
    private readonly CommitSignals _signals = new(TimeProvider.System);
    private readonly List<VersionLoss> _losses = [];

    public SeenVersionsTests() => Seen.WentBack += _losses.Add;

    private SeenVersions Seen => _signals.Seen;

    [Fact]
    public void Answers_that_overtake_one_another_are_no_loss()
    {
        var before = Seen.Current.Seen;
        Commit(7);
        _signals.Look(before, 5);
        Commit(6);
        _signals.Look(Seen.Current.Seen, 7);

        Assert.Empty(_losses);
        Assert.Equal((7, 7), (Seen.Current.Version, Seen.Highest));
    }

    [Fact]
    public void A_look_that_misses_what_was_known_before_it_began_is_a_loss_and_is_told_once()
    {
        Commit(7);
        var (one, other) = (Seen.Current.Seen, Seen.Current.Seen);

        _signals.Look(one, 3);
        _signals.Look(other, 3);
        _signals.Look(Seen.Current.Seen, 4);

        Assert.Equal([new VersionLoss(7, 3, LacksOwn: false)], _losses);
        Assert.Equal((4, 7), (Seen.Current.Version, Seen.Highest));
    }

    [Fact]
    public void A_commit_that_is_missing_is_a_loss_whatever_the_version_is()
    {
        Commit(7);

        Seen.Look(Seen.Current.Seen, 9, lacksOwn: true);

        Assert.Equal([new VersionLoss(7, 9, LacksOwn: true)], _losses);
    }

    [Fact]
    public void What_was_begun_before_a_loss_counts_for_nothing_after_it()
    {
        var era = Seen.Current;
        Commit(7);
        _signals.Look(Seen.Current.Seen, 3);

        _signals.Committed(new CommitSummary(8, long.MaxValue, false, false), era);
        _signals.Look(Seen.Current.Seen, 4);

        Assert.Single(_losses);
        Assert.Equal((4, 8), (Seen.Current.Version, Seen.Highest));
    }

    [Fact]
    public async Task Whatever_number_a_commit_has_it_wakes_what_waits()
    {
        Commit(7);
        foreach (var version in (long[])[7, 3, 4, 4, 100])
        {
            var change = _signals.NextChange;
            Assert.False(change.IsCompleted);
            Commit(version);
            Assert.True(await _signals.TryWaitAsync(change, CancellationToken.None));
        }
    }

    [Fact]
    public void A_look_wakes_what_waits_if_it_finds_another_version_than_was_told()
    {
        Commit(7);
        var change = _signals.NextChange;
        _signals.Look(Seen.Current.Seen, 7);
        Assert.False(change.IsCompleted);
        _signals.Look(Seen.Current.Seen, 5);
        Assert.True(change.IsCompleted);
        change = _signals.NextChange;
        _signals.Look(Seen.Current.Seen, 6);
        Assert.True(change.IsCompleted);
    }

    [Fact]
    public async Task What_waits_ends_with_its_token_and_with_the_store()
    {
        using var cancelled = new CancellationTokenSource();
        var waiting = _signals.TryWaitAsync(_signals.NextChange, cancelled.Token).AsTask();
        await cancelled.CancelAsync();
        Assert.False(await waiting);
        waiting = _signals.TryWaitAsync(_signals.NextChange, CancellationToken.None).AsTask();
        _signals.End();
        Assert.False(await waiting);
        Assert.False(await _signals.TryWaitAsync(_signals.NextChange, CancellationToken.None));
        Commit(9);
        Assert.False(await _signals.TryWaitAsync(_signals.NextChange, CancellationToken.None));
    }

    [Fact]
    public void Health_remembers_for_a_day_that_a_database_went_back()
    {
        var time = new ManualTime();
        var health = new StoreHealth(time);
        Assert.Null(health.WentBackTo);

        var text = health.WentBack(7, 3, lacksOwn: false);
        time.Advance(TimeSpan.FromHours(23));

        Assert.Equal((text, 7, 3), (health.WentBackTo!.Text, health.WentBackTo.Known, health.WentBackTo.Found));
        time.Advance(TimeSpan.FromHours(2));
        Assert.Null(health.WentBackTo);
    }

    private void Commit(long version) => _signals.Committed(new CommitSummary(version, long.MaxValue, false, false), Seen.Current);
}
