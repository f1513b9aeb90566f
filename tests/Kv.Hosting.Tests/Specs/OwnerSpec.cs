using System.Diagnostics;
using System.Globalization;
using Kv.TestKit;
using Kv.Worker;

namespace Kv.Tests.Specs;

/// <summary>Who may take over what is held, and when.</summary>
public abstract class OwnerSpec(KvDatabase database)
{
    private readonly Gate _gate = new();
    private readonly List<int> _handled = [];

    protected static TimeSpan Lease { get; } = TimeSpan.FromSeconds(30);

    protected ManualTime Time { get; } = new();

    private protected Gate Gate => _gate;

    protected IReadOnlyCollection<int> Handled => _handled;

    [Fact]
    public async Task What_a_program_runs_that_says_nothing_of_itself_is_watched_for_a_lease_before_it_is_taken_over()
    {
        await using var test = await HandlingAsync();
        await test.SettleAsync();
        Time.Advance(Lease * 2);
        await HeldAsync(test, 1, owner: "", deadline: Time.Milliseconds() - 3_600_000);
        await test.SettleAsync();

        Time.Advance(Lease * 0.95 - TimeSpan.FromMilliseconds(1));
        await test.SettleAsync();
        Assert.Empty(_handled);
        await test.Store.EnqueueAsync(new Job(2));
        await test.SettleAsync();
        Assert.Equal([2], _handled);

        Time.Advance(TimeSpan.FromMilliseconds(2));
        await test.SettleAsync();
        Assert.Equal([2, 1], _handled);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_backlog_that_another_program_works_through_is_not_taken_from_it()
    {
        await using var test = await HandlingAsync();
        await test.SettleAsync();
        Time.Advance(Lease * 2);
        for (var i = 0; i < 30; i++)
        {
            // It begins one that has been due for an hour, and ends it three seconds later.
            await HeldAsync(test, i, owner: "", deadline: Time.Milliseconds() - 3_600_000 + i);
            await test.SettleAsync();
            Time.Advance(TimeSpan.FromSeconds(3));
            await test.SettleAsync();
            await test.ExecuteAsync("delete from queue_running");
        }

        Assert.Empty(_handled);
    }

    protected Task<KvTestStore> HandlingAsync(KvTestStore? beside = null) => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((job, _, _) =>
        {
            _handled.Add(job!.Number);
            return Task.CompletedTask;
        }),
        Time,
        static options => options.Lease = Lease,
        beside);

    protected Task<KvTestStore> HoldingAsync() => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((_, context, token) => _gate.PassAsync(context, token)),
        Time,
        static options => options.Lease = Lease);

    /// <summary>A message that somebody holds.</summary>
    protected static async Task HeldAsync(KvTestStore test, int number, string owner, long deadline)
    {
        await test.Store.EnqueueAsync(new Job(number), new() { Topic = "putting" });
        await test.ExecuteAsync(
            "insert into queue_running "
                + "(deadline, ts, owner, claim, id, data, backoff_schedule, keys_if_undelivered, topic, type, encoding) "
                + "select {0}, ts, {1}, 1, id, data, backoff_schedule, keys_if_undelivered, 'job', type, encoding from queue",
            deadline,
            owner);
        await test.ExecuteAsync("delete from queue");
    }
}

public sealed class SqliteOwnerTests(SqliteDatabase database) : OwnerSpec(database), IClassFixture<SqliteDatabase>
{
    [Theory]
    [InlineData(1)]
    [InlineData(24)]
    public async Task A_worker_that_begins_after_the_clock_was_set_takes_nothing_from_living_ones(int hours)
    {
        await using var living = await HoldingAsync();
        await living.Store.EnqueueAsync(new Job(1));
        await living.ClaimAsync();
        await Gate.Begun;

        Time.Step(TimeSpan.FromHours(hours));
        await using var begins = await HandlingAsync(living);
        await begins.SettleAsync();
        for (var i = 0; i < 12; i++)
        {
            Time.Advance(Lease / 3);
            Assert.True(living.Worker().Heartbeat.Beat());
            await begins.SettleAsync();
        }

        Assert.Empty(Handled);
        Gate.Open();
        await living.IdleAsync();
        Assert.False(Gate.Token.IsCancellationRequested);
        living.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_worker_that_begins_takes_over_what_lapsed_when_it_has_watched_it_for_a_lease()
    {
        await using var test = await HandlingAsync();
        await HeldAsync(test, 1, "of another machine", Time.Milliseconds() - 1);
        await test.SettleAsync();
        Time.Advance(Lease * 0.94);
        await test.SettleAsync();
        Assert.Empty(Handled);

        Time.Advance(Lease * 0.02);
        await test.SettleAsync();

        Assert.Equal([1], Handled);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_worker_that_begins_takes_over_at_once_what_lapsed_with_a_process_that_has_ended()
    {
        using var child = Process.Start("dotnet", "--version")!;
        var process = child.Id;
        await child.WaitForExitAsync();
        string dead;
        using (var name = new OwnerName())
        {
            dead = $"{name.Text[..16]}{process.ToString("x6", CultureInfo.InvariantCulture)}0123450000";
        }

        await using var test = await HandlingAsync();
        await HeldAsync(test, 1, dead, Time.Milliseconds() + 2000);
        await test.SettleAsync();
        Assert.Empty(Handled);

        Time.Advance(TimeSpan.FromMilliseconds(2001));
        await test.SettleAsync();

        Assert.Equal([1], Handled);
        test.AssertQueueEmpty();
    }

    [Fact]
    public async Task A_worker_that_was_disposed_of_is_known_not_to_live()
    {
        var test = await HoldingAsync();
        var owner = test.Worker().Owner;
        Assert.False(OwnerName.IsDead(owner));

        await test.DisposeAsync();

        Assert.True(OwnerName.IsDead(owner));
    }

    [Fact]
    public async Task A_heartbeat_extends_as_soon_as_it_sees_that_the_clock_was_set()
    {
        await using var test = await HoldingAsync();
        await test.Store.EnqueueAsync(new Job(1));
        await test.StartAsync();
        await Gate.Begun;

        Time.Step(TimeSpan.FromHours(1));
        Time.Advance(Lease / 20);

        using var hang = new CancellationTokenSource(WorkerTesting.Patience);
        while (Assert.Single(await test.RunningAsync()).Deadline < Time.Milliseconds())
        {
            Assert.False(hang.IsCancellationRequested, "The lease was not extended.");
            await Task.Yield();
        }

        // Extended, and not claimed anew.
        Assert.Equal(1, Assert.Single(await test.RunningAsync()).Claim);
        Gate.Open();
        await test.IdleAsync();
        await test.StopAsync();
    }

    [Fact]
    public void A_process_that_lives_is_known_by_its_number_and_its_beginning()
    {
        using var name = new OwnerName();
        Assert.Equal(32, name.Text.Length);
        Assert.False(OwnerName.IsDead(name.Text));

        // Of a process that is there, begun at another time.
        Assert.True(OwnerName.IsDead(name.Text[..16] + "000001" + "zzzzzz" + "0000") || !OperatingSystem.IsLinux());

        // Nothing is known of those on other machines, in other containers, and of programs with names of their own.
        Assert.False(OwnerName.IsDead("zzzzzz" + name.Text[6..]));
        Assert.False(OwnerName.IsDead(name.Text[..12] + "zzzz" + "7fffff" + name.Text[22..]));
        Assert.False(OwnerName.IsDead(""));
        Assert.False(OwnerName.IsDead("another"));

        // Before the machine was started anew.
        Assert.True(OwnerName.IsDead(name.Text[..6] + "zzzzzz" + name.Text[12..]));
    }
}

public sealed class PostgresOwnerTests(PostgresDatabase database) : OwnerSpec(database), IClassFixture<PostgresDatabase>;
