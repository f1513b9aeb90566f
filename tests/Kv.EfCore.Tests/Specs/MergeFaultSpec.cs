using Kv.Diagnostics;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Kv.Tests.Specs;

/// <summary>Merges that cannot be done fail alone, and operators that are no pure functions do no harm.</summary>
public abstract class MergeFaultSpec(KvDatabase database)
{
    private readonly ManualTime _time = new();

    [Fact]
    public async Task A_merge_that_cannot_be_done_fails_alone_of_those_that_share_its_commit()
    {
        await using var test = await database.CreateStoreAsync(options: static options =>
        {
            options.MaxValueSize = 100;
            options.AddMerge<int>("halve", static (existing, operand) => existing / operand);
            options.AddMerge<Person, string>("rename", static (person, name) => person! with { Name = name });
        });
        await test.Store.Atomic().Set(["n"], 12).Set(["text"], new string('x', 90)).CommitAsync();
        var (reached, held) = (new TaskCompletionSource(), new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        var commits = 0;
        test.FailPoints.OnHit = async point =>
        {
            commits += point == FailPoints.BeforeCommit ? 1 : 0;
            if (point == FailPoints.BeforeCommit && reached.TrySetResult())
            {
                await held.Task.WaitAsync(Rows.Patience, TimeProvider.System);
            }
        };

        var first = Task.Run(() => test.Store.SetAsync(["first"], 1).AsTask());
        await reached.Task.WaitAsync(Rows.Patience, TimeProvider.System);
        var good = test.Store.MergeAsync(["n"], "halve", 2).AsTask();
        var failing = test.Store.Atomic().Set(["beside"], 1).Merge(["n"], "halve", 0).CommitAsync().AsTask();
        var wrong = test.Store.Atomic().Set(["beside"], 1).Merge(["text"], "halve", 2).CommitAsync().AsTask();
        var wrongKind = test.Store.Atomic().Merge(["n"], KvMerge.Append, 2).Set(["beside"], 1).CommitAsync().AsTask();
        var absent = test.Store.MergeAsync(["nobody"], "rename", "Ada").AsTask();
        var large = test.Store.Atomic().Set(["beside"], 1).Merge(["text"], KvMerge.Concat, "0123456789").CommitAsync().AsTask();
        var fits = test.Store.MergeAsync(["text"], KvMerge.Concat, "01234567").AsTask();
        var again = test.Store.MergeAsync(["n"], "halve", 3).AsTask();
        held.SetResult();
        await Task.WhenAll(first, good, fits, again);

        await FailsAsync(failing, KvErrorKind.Merge, "'halve' failed on [\"n\"]", typeof(DivideByZeroException));
        await FailsAsync(absent, KvErrorKind.Merge, "'rename' failed on [\"nobody\"]", typeof(NullReferenceException));
        await FailsAsync(
            wrong,
            KvErrorKind.Type,
            "'halve' folds operands into System.Int32, and the value of [\"text\"] (Json, 92 bytes) is none",
            typeof(KvException));
        await FailsAsync(
            wrongKind,
            KvErrorKind.Type,
            "'append' folds operands into a JSON array, and the value of [\"n\"] (Json, 1 bytes) is none",
            inner: null);
        await FailsAsync(
            large,
            KvErrorKind.Merge,
            "Value too large (max 100 bytes): with this operand, the merge operator 'concat' makes 102 bytes of the value of [\"text\"]",
            inner: null);
        Assert.Equal(2, commits);
        Assert.Equal(2, await test.Store.GetAsync<int>(["n"]));
        Assert.Equal(98, (await test.Store.GetAsync<string>(["text"]))!.Length);
        Assert.Null(await test.Store.GetAsync(["beside"]));
        Assert.Null(await test.Store.GetAsync(["nobody"]));

        static async Task FailsAsync(Task write, KvErrorKind kind, string text, Type? inner)
        {
            var error = await Assert.ThrowsAsync<KvException>(() => write);
            Assert.Equal((kind, inner), (error.Kind, error.InnerException?.GetType()));
            Assert.Contains(text, error.Message, StringComparison.Ordinal);
            Assert.Contains("Nothing of this write was written", error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(KvMerge.Concat)]
    [InlineData(KvMerge.Append)]
    [InlineData(KvMerge.MergePatch)]
    [InlineData(KvMerge.Union)]
    public async Task What_is_no_json_of_the_operator_stays_as_it_is(string name)
    {
        await using var test = await database.CreateStoreAsync();
        List<KvValue> values =
        [
            KvValue.FromUInt64(1), KvValue.FromBytes([1, 2]), new([1, 2], KvEncoding.V8), new(""u8, KvEncoding.Json),
            new("[1,"u8, KvEncoding.Json), new("[1,]"u8, KvEncoding.Json), new("\"half"u8, KvEncoding.Json),
        ];
        if (name != KvMerge.MergePatch)
        {
            values.AddRange([new("5"u8, KvEncoding.Json), new("null"u8, KvEncoding.Json), new("{}"u8, KvEncoding.Json)]);
        }

        foreach (var value in values)
        {
            await test.Store.SetAsync(["k"], value);

            var error = await Assert.ThrowsAsync<KvException>(
                () => test.Store.MergeAsync<object>(["k"], name, name == KvMerge.Union ? new List<string> { "x" } : "x").AsTask());

            Assert.Equal(KvErrorKind.Type, error.Kind);
            Assert.Equal(value, (await test.Store.GetAsync(["k"]))!.Value);
        }
    }

    [Fact]
    public async Task An_operator_that_there_is_not_and_an_operand_that_is_none_are_refused_at_once()
    {
        await using var test = await database.CreateStoreAsync(options: static options =>
        {
            options.MaxValueSize = 100;
            options.AddMerge<int>("sum", static (existing, operand) => existing + operand);
        });
        var write = test.Store.Atomic();

        var unknown = Assert.Throws<ArgumentException>(() => write.Merge(["k"], "Sum", 1));
        Assert.Contains("no merge operator 'Sum' to change [\"k\"] with", unknown.Message, StringComparison.Ordinal);
        Assert.Contains("it has append, concat, merge-patch, sum, union.", unknown.Message, StringComparison.Ordinal);
        Assert.Contains("options.AddMerge(\"Sum\"", unknown.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentNullException>(() => write.Merge(["k"], null!, 1));
        Refused(
            KvErrorKind.Type,
            "of 'sum' for [\"k\"] cannot be stored: The merge operator 'sum' takes a System.Int32",
            () => write.Merge(["k"], "sum", "one"));
        Refused(KvErrorKind.Type, "takes a string", () => write.Merge(["k"], KvMerge.Concat, 1));
        Refused(KvErrorKind.Type, "takes a list", () => write.Merge(["k"], KvMerge.Union, "x"));
        Refused(KvErrorKind.Type, "takes JSON", () => write.Merge(["k"], KvMerge.Append, new KvValue("[1"u8, KvEncoding.Json)));
        Refused(KvErrorKind.Encoding, "for [\"k\"] cannot be stored", () => write.Merge(["k"], KvMerge.Append, KvValue.FromBytes([1])));
        Refused(KvErrorKind.Encoding, "for [\"k\"] cannot be stored", () => write.Merge(["k"], KvMerge.Append, "\ud800"));
        var large = Assert.Throws<ArgumentException>(() => write.Merge(["k"], KvMerge.Append, new string('x', 99)));
        Assert.Contains("operand of [\"k\"] takes 101 bytes", large.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => write.Merge([], "sum", 1));
        Assert.Throws<ArgumentException>(() => write.Merge(["k"], "sum", 1, TimeSpan.FromSeconds(-1)));

        // Nothing of these is in the write.
        await write.Merge(["k"], "sum", 2).CommitAsync();
        Assert.Equal(2, await test.Store.GetAsync<int>(["k"]));

        static void Refused(KvErrorKind kind, string text, Action merge)
        {
            var error = Assert.Throws<KvException>(merge);
            Assert.Equal(kind, error.Kind);
            Assert.Contains(text, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task What_an_operator_changes_before_it_fails_and_a_caller_after_its_call_reaches_nothing()
    {
        await using var test = await database.CreateStoreAsync(options: static options => options
            .AddMerge<List<int>>("add", static (existing, operand) =>
            {
                existing ??= operand;
                existing.AddRange(operand);
                return operand.Contains(0) ? throw new InvalidOperationException("No zero.") : existing;
            }));
        List<int> operand = [1];
        var write = test.Store.Atomic().Merge(["k"], "add", operand);
        operand.Add(7);
        await write.CommitAsync();

        var failing = test.Store.Atomic().Merge(["k"], "add", (List<int>)[5]).Merge(["k"], "add", (List<int>)[0]);
        await Assert.ThrowsAsync<KvException>(() => failing.CommitAsync().AsTask());
        await test.Store.MergeAsync(["k"], "add", (List<int>)[2]);

        Assert.Equal([1, 1, 2], await test.Store.GetAsync<List<int>>(["k"]));
    }

    [Theory]
    [InlineData(KvFault.CutCommit)]
    [InlineData(KvFault.CutAnswer)]
    public async Task A_merge_whose_commit_was_interrupted_is_done_once(KvFault fault)
    {
        await using var test = await database.CreateStoreAsync(options: static options => options
            .AddMerge<List<int>>("add", static (existing, operand) =>
            {
                operand.InsertRange(0, existing ?? []);
                return operand;
            }));
        await test.Store.MergeAsync(["k"], "add", (List<int>)[1]);
        test.Faults.FailNext(fault);

        await test.Store.Atomic().Merge(["k"], "add", (List<int>)[2]).Merge(["log"], KvMerge.Append, 2).CommitAsync();

        Assert.Equal(1, test.Faults.CountFailed(fault));
        Assert.Equal([1, 2], await test.Store.GetAsync<List<int>>(["k"]));
        Assert.Equal([2], await test.Store.GetAsync<List<int>>(["log"]));
    }

    [Fact]
    public async Task A_slow_operator_is_warned_of_by_its_name_and_once_a_minute()
    {
        var logs = new LogCollector();
        await using var test = await database.CreateStoreAsync(
            _time,
            options => options.AddMerge<int>("slow", (_, operand) =>
            {
                _time.Advance(TimeSpan.FromMilliseconds(operand));
                return operand;
            }),
            services: services => services.AddSingleton<ILoggerProvider>(_ => logs.CreateProvider()));

        await test.Store.MergeAsync(["k"], "slow", 50);
        Assert.Empty(Warnings());
        await test.Store.MergeAsync(["k"], "slow", 51);
        await test.Store.MergeAsync(["k"], "slow", 52);
        Assert.Contains("'slow' took 51 ms to fold", Assert.Single(Warnings()), StringComparison.Ordinal);
        _time.Advance(TimeSpan.FromMinutes(1));
        await test.Store.MergeAsync(["k"], "slow", 53);
        Assert.Equal(2, Warnings().Count());

        IEnumerable<string> Warnings() => logs.Entries
            .Where(static e => (e.Level, e.Event) == (LogLevel.Warning, 220)).Select(static e => e.Text);
    }

    private sealed record Person(string Name);
}

public sealed class SqliteMergeFaultTests(SqliteDatabase database) : MergeFaultSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresMergeFaultTests(PostgresDatabase database) : MergeFaultSpec(database), IClassFixture<PostgresDatabase>;
