using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>What is kept of the errors of a message, and of the reason why it was given up.</summary>
public abstract class MessageErrorSpec(KvDatabase database)
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private readonly ManualTime _time = new();
    private readonly LogCollector _logs = new();

    [Fact]
    public async Task The_first_and_the_last_error_are_kept_with_all_that_tells_what_happened()
    {
        List<(KvMessageError? First, KvMessageError? Last)> seen = [];
        await using var test = await database.CreateWorkerAsync(
            worker => worker.Handle<Job>((_, context, _) =>
            {
                seen.Add((context.FirstError, context.LastError));
                throw new InvalidOperationException($"Attempt {context.Attempt}.", new IOException("Deeper."));
            }),
            _time,
            logs: _logs);
        var began = _time.GetUtcNow();
        await test.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [Minute, Minute] });

        await test.SettleAsync();
        _time.Advance(Minute);
        await test.SettleAsync();
        var info = await InfoAsync(test);
        _time.Advance(Minute);
        await test.SettleAsync();

        Assert.Equal((null, null), seen[0]);
        Assert.Equal(("Attempt 1.", "Attempt 2."), (seen[2].First!.Message, seen[2].Last!.Message));
        Assert.Equal((seen[2].First, seen[2].Last), (info.FirstError, info.LastError));
        Assert.Equal(
            (typeof(InvalidOperationException).FullName, 1, began), (info.FirstError!.Type, info.FirstError.Attempt, info.FirstError.At));
        Assert.Equal((2, began + Minute, 2), (info.LastError!.Attempt, info.LastError.At, info.FailedAttempts));
        Assert.Contains(nameof(MessageErrorSpec), info.LastError.Stack, StringComparison.Ordinal);
        Assert.Contains("Deeper.", info.LastError.Stack, StringComparison.Ordinal);
        var letter = Assert.Single(await test.DeadLettersAsync());
        Assert.Equal(
            ("Attempt 1.", "Attempt 3.", 3, "Attempt 3."),
            (letter.FirstError!.Message, letter.LastError!.Message, letter.Attempts, letter.Reason));
    }

    [Theory]
    [InlineData("a\0b")]
    [InlineData("lone \ud800 surrogate \udfff")]
    [InlineData("\ud83d\ude00 and \u202e and \u0007")]
    [InlineData("")]
    public async Task Whatever_an_error_says_it_can_be_kept(string message)
    {
        await using var test = await FailingAsync(() => new InvalidOperationException(message));
        await test.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [Minute] });

        await test.SettleAsync();
        var kept = (await InfoAsync(test)).LastError!;
        _time.Advance(Minute);
        await test.SettleAsync();

        var readable = message.Replace('\ud800', '\ufffd').Replace('\udfff', '\ufffd');
        readable = message.Contains('\ude00', StringComparison.Ordinal) ? message : readable;
        Assert.Equal(readable, kept.Message);
        Assert.Equal(readable, Assert.Single(await test.DeadLettersAsync()).LastError!.Message);
        Assert.DoesNotContain(_logs.Entries, static e => e.Event is 112 or 114);
    }

    [Fact]
    public async Task Of_a_huge_error_only_the_beginning_is_kept_and_no_character_is_cut_in_two()
    {
        var message = new string('x', KvMessageError.MaxMessage - 1) + "\ud83d\ude00" + new string('y', 1_000_000);
        await using var test = await FailingAsync(() => new InvalidOperationException(message, new IOException(message)));
        await test.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [Minute] });

        await test.SettleAsync();
        var error = (await InfoAsync(test)).LastError!;

        Assert.Equal(new string('x', KvMessageError.MaxMessage - 1), error.Message);
        Assert.InRange(error.Stack!.Length, 1, KvMessageError.MaxStack);
        Assert.DoesNotContain('\ufffd', error.Stack);
    }

    [Fact]
    public async Task A_huge_reason_is_kept_in_part()
    {
        await using var test = await DecidingAsync(static context => context.DeadLetter(new string('r', 1_000_000)));
        await test.Store.EnqueueAsync(new Job(1));

        await test.SettleAsync();

        Assert.Equal(new string('r', KvMessageError.MaxMessage), Assert.Single(await test.DeadLettersAsync()).Reason);
    }

    [Fact]
    public async Task An_exception_that_cannot_even_say_what_it_is_fails_its_attempt_like_any_other()
    {
        await using var test = await FailingAsync(static () => new Mute());
        await test.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await test.SettleAsync();

        var letter = Assert.Single(await test.DeadLettersAsync());
        Assert.Equal(typeof(Mute).FullName, letter.LastError!.Type);
        Assert.DoesNotContain(_logs.Entries, static e => e.Event is 112 or 114);
        await test.AssertEmptyAsync();
    }

    [Fact]
    public async Task An_error_column_that_others_wrote_stops_nothing()
    {
        var first = new KvMessageError("?", "?", null, 0, default);
        await using var test = await DecidingAsync(context => first = context.FirstError);
        await test.Store.EnqueueAsync(new Job(1));
        await test.ExecuteAsync("update queue set first_error = 'not json', last_error = '[1]'");

        Assert.Null((await InfoAsync(test)).LastError);
        await test.SettleAsync();

        Assert.Null(first);
        await test.AssertEmptyAsync();
    }

    private Task<KvTestStore> FailingAsync(Func<Exception> error) => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((_, _, _) => throw error()), _time, logs: _logs);

    private Task<KvTestStore> DecidingAsync(Action<KvMessageContext> decide) => database.CreateWorkerAsync(
        worker => worker.Handle<Job>((_, context, _) =>
        {
            decide(context);
            return Task.CompletedTask;
        }),
        _time,
        logs: _logs);

    private static async Task<KvMessageInfo> InfoAsync(KvTestStore test) =>
        (await test.Queue().GetAsync(Assert.Single(await test.QueuedAsync()).Id))!;

    private sealed class Mute : Exception
    {
        public override string Message => throw new InvalidOperationException("I do not talk.");
    }
}

public sealed class SqliteMessageErrorTests(SqliteDatabase database) : MessageErrorSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresMessageErrorTests(PostgresDatabase database) : MessageErrorSpec(database), IClassFixture<PostgresDatabase>;
