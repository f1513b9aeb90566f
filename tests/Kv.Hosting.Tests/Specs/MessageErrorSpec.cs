using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>What is kept of the errors of a message, and of the reason why it was given up.</summary>
public abstract class MessageErrorSpec(KvDatabase database)
{
    private static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);
    private readonly LogCollector _logs = new();

    [Fact]
    public async Task The_first_and_the_last_error_are_kept_with_all_that_tells_what_happened()
    {
        List<(KvMessageError? First, KvMessageError? Last)> seen = [];
        await using var kv = await database.StartDecidingAsync(context =>
        {
            seen.Add((context.FirstError, context.LastError));
            throw new InvalidOperationException($"Attempt {context.Attempt}.", new IOException("Deeper."));
        });
        var began = kv.Now;
        await kv.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [Minute, Minute] });

        await kv.DrainAsync();
        await kv.AdvanceAsync(Minute);
        var info = await kv.WaitingAsync();
        await kv.AdvanceAsync(Minute);

        Assert.Equal((null, null), seen[0]);
        Assert.Equal(("Attempt 1.", "Attempt 2."), (seen[2].First!.Message, seen[2].Last!.Message));
        Assert.Equal((seen[2].First, seen[2].Last), (info.FirstError, info.LastError));
        Assert.Equal(
            (typeof(InvalidOperationException).FullName, 1, began), (info.FirstError!.Type, info.FirstError.Attempt, info.FirstError.At));
        Assert.Equal((2, began + Minute, 2), (info.LastError!.Attempt, info.LastError.At, info.FailedAttempts));
        Assert.Contains(nameof(MessageErrorSpec), info.LastError.Stack, StringComparison.Ordinal);
        Assert.Contains("Deeper.", info.LastError.Stack, StringComparison.Ordinal);
        var letter = kv.AssertDeadLetter<Job>();
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
        await using var kv = await FailingAsync(() => new InvalidOperationException(message));
        await kv.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [Minute] });

        await kv.DrainAsync();
        var kept = (await kv.WaitingAsync()).LastError!;
        await kv.AdvanceAsync(Minute);

        var readable = message.Replace('\ud800', '\ufffd').Replace('\udfff', '\ufffd');
        readable = message.Contains('\ude00', StringComparison.Ordinal) ? message : readable;
        Assert.Equal(readable, kept.Message);
        Assert.Equal(readable, kv.AssertDeadLetter<Job>().LastError!.Message);
        Assert.DoesNotContain(_logs.Entries, static e => e.Event is 112 or 114);
    }

    [Fact]
    public async Task Of_a_huge_error_only_the_beginning_is_kept_and_no_character_is_cut_in_two()
    {
        var message = new string('x', KvMessageError.MaxMessage - 1) + "\ud83d\ude00" + new string('y', 1_000_000);
        await using var kv = await FailingAsync(() => new InvalidOperationException(message, new IOException(message)));
        await kv.Store.EnqueueAsync(new Job(1), new() { BackoffSchedule = [Minute] });

        await kv.DrainAsync();
        var error = (await kv.WaitingAsync()).LastError!;

        Assert.Equal(new string('x', KvMessageError.MaxMessage - 1), error.Message);
        Assert.InRange(error.Stack!.Length, 1, KvMessageError.MaxStack);
        Assert.DoesNotContain('\ufffd', error.Stack);
    }

    [Fact]
    public async Task A_huge_reason_is_kept_in_part()
    {
        await using var kv = await database.StartDecidingAsync(static context => context.DeadLetter(new string('r', 1_000_000)));
        await kv.Store.EnqueueAsync(new Job(1));

        await kv.DrainAsync();

        Assert.Equal(new string('r', KvMessageError.MaxMessage), kv.AssertDeadLetter<Job>().Reason);
    }

    [Fact]
    public async Task An_exception_that_cannot_even_say_what_it_is_fails_its_attempt_like_any_other()
    {
        await using var kv = await FailingAsync(static () => new Mute());
        await kv.Store.EnqueueAsync(new Job(1), WorkerTesting.Once);

        await kv.DrainAsync();

        var letter = kv.AssertDeadLetter<Job>();
        Assert.Equal(typeof(Mute).FullName, letter.LastError!.Type);
        Assert.DoesNotContain(_logs.Entries, static e => e.Event is 112 or 114);
        kv.AssertQueueEmpty();
    }

    [Fact]
    public async Task An_error_column_that_others_wrote_stops_nothing()
    {
        var first = new KvMessageError("?", "?", null, 0, default);
        await using var kv = await database.StartDecidingAsync(context => first = context.FirstError);
        await kv.Store.EnqueueAsync(new Job(1));
        await kv.ExecuteAsync("update queue set first_error = 'not json', last_error = '[1]'");

        Assert.Null((await kv.WaitingAsync()).LastError);
        await kv.DrainAsync();

        Assert.Null(first);
        kv.AssertQueueEmpty();
    }

    private Task<KvTestHost> FailingAsync(Func<Exception> error) => database.StartDecidingAsync(_ => throw error(), _logs);

    private sealed class Mute : Exception
    {
        public override string Message => throw new InvalidOperationException("I do not talk.");
    }
}

public sealed class SqliteMessageErrorTests(SqliteDatabase database) : MessageErrorSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresMessageErrorTests(PostgresDatabase database) : MessageErrorSpec(database), IClassFixture<PostgresDatabase>;
