using Kv.TestKit;

namespace Kv.Tests.Specs;

/// <summary>An option that cannot work is refused before anything is written, with what it is, what it may be, and what to do.</summary>
public abstract class EnqueueOptionsSpec(KvDatabase database)
{
    private static readonly Dictionary<string, (KvEnqueueOptions Options, string[] Says)> Refused = new()
    {
        ["a priority above the greatest"] = (new() { Priority = 101 }, ["priority is 101", "-100 to 100", "lower ones come first"]),
        ["a priority below the least"] = (new() { Priority = int.MinValue }, ["priority is -2147483648", "-100 to 100"]),
        ["a group key beside a concurrency key"] = (new() { GroupKey = "g", ConcurrencyKey = "c" }, ["'g'", "'c'", "one of them", "leave the concurrency key out"]),
        ["a concurrency limit of none"] = (new() { ConcurrencyKey = "c", ConcurrencyLimit = 0 }, ["limit is 0", "1 to 1000", "leave the concurrency key out"]),
        ["a concurrency limit above the greatest"] = (new() { ConcurrencyKey = "c", ConcurrencyLimit = 1001 }, ["limit is 1001", "1 to 1000"]),
        ["a concurrency limit of nothing"] = (new() { ConcurrencyLimit = 2 }, ["limit of 2", "no concurrency key", "Name the key"]),
        ["an empty group key"] = (new() { GroupKey = "" }, ["group key", "0 characters", "1 to 200"]),
        ["a group key that is too long"] = (new() { GroupKey = new string('g', 201) }, ["group key", "201 characters", "1 to 200"]),
        ["an empty concurrency key"] = (new() { ConcurrencyKey = "" }, ["concurrency key", "0 characters", "1 to 200"]),
        ["a concurrency key with NUL"] = (new() { ConcurrencyKey = "a\0b" }, ["concurrency key", "U+0000 at position 1"]),
        ["an empty rate key"] = (new() { RateKey = "" }, ["rate key", "0 characters", "1 to 200"]),
        ["a rate key with a line feed"] = (new() { RateKey = "ab\n" }, ["rate key", "U+000A at position 2"]),
        ["an empty unique key"] = (new() { UniqueKey = "" }, ["unique key", "0 characters", "1 to 200"]),
        ["a unique key that is too long"] = (new() { UniqueKey = new string('u', 300) }, ["unique key", "300 characters", "1 to 200"]),
        ["half a surrogate pair in a unique key"] = (new() { UniqueKey = "a\ud83d" }, ["unique key", "U+D83D at position 1"]),
        ["half a surrogate pair in a group key"] = (new() { GroupKey = "\ude00" }, ["group key", "U+DE00 at position 0"]),
        ["half a surrogate pair in a topic"] = (new() { Topic = "t\ud83dt" }, ["U+D83D at position 1"]),
        ["a negative time to be unique for"] = (new() { UniqueKey = "u", UniqueFor = TimeSpan.FromSeconds(-1) }, ["unique for -00:00:01", "zero to 30 days"]),
        ["a time to be unique for that is too long"] = (new() { UniqueKey = "u", UniqueFor = TimeSpan.FromDays(31) }, ["31.00:00:00", "zero to 30 days"]),
        ["a time without a unique key"] = (new() { UniqueFor = TimeSpan.FromSeconds(1) }, ["no unique key", "Name the key"]),
        ["a choice about duplicates without a unique key"] = (new() { IfDuplicate = KvDuplicatePolicy.Refuse }, ["no unique key", "Name the key"]),
        ["a choice that there is not"] = (new() { UniqueKey = "u", IfDuplicate = (KvDuplicatePolicy)7 }, ["7", "KvDuplicatePolicy", "Keep, Replace or Refuse"]),
    };

    public static TheoryData<string> Names => [.. Refused.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public async Task It_is_refused(string name)
    {
        await using var test = await database.CreateStoreAsync();
        var (options, says) = Refused[name];

        var error = await Assert.ThrowsAsync<ArgumentException>(() => test.Store.Atomic().Set(["a"], 1).Enqueue(new Job(1)).Enqueue(new Job(2), options).CommitAsync().AsTask());

        Assert.All(says, text => Assert.Contains(text, error.Message, StringComparison.Ordinal));
        test.AssertQueueEmpty();
        Assert.Equal(0, await test.Store.CountAsync(KvRange.Prefix([])));
    }
}

public sealed class SqliteEnqueueOptionsTests(SqliteDatabase database) : EnqueueOptionsSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresEnqueueOptionsTests(PostgresDatabase database) : EnqueueOptionsSpec(database), IClassFixture<PostgresDatabase>;
