using System.Numerics;
using System.Text.Json;
using Kv.TestKit;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Sqlite;

/// <summary>Files that real Deno, and <c>@deno/kv</c> in Node, share with this library.</summary>
public sealed class DenoFileTests(SqliteDatabase database, DenoPrograms deno) : IClassFixture<SqliteDatabase>, IClassFixture<DenoPrograms>
{
    private static readonly User Ada = new(
        "Ada",
        DateTimeOffset.FromUnixTimeMilliseconds(1700000000123),
        BigInteger.Pow(10, 30),
        [1, 2, 3],
        ["a", "b"],
        new() { ["x"] = 1.5 },
        null);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Every_kind_of_value_of_either_program_is_read_and_comes_back_to_it_equal(bool inNode)
    {
        var path = await NewPathAsync();
        var names = (await deno.RunAsync(inNode, path, "write", "theirs")).EnumerateArray().Select(static n => n.GetString()!).ToList();
        await using var test = await OpenAsync(path);

        foreach (var name in names)
        {
            var value = await test.Store.GetAsync<V8Value>(["theirs", name]);
            await test.Store.SetAsync(["ours", name], value ?? V8Value.Null);
        }

        Assert.InRange(names.Count, 50, 100);
        Assert.Equal("[]", (await deno.RunAsync(inNode, path, "compare", "ours")).GetRawText());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_Deno_writes_is_read_by_Node_once_it_was_written_here(bool toNode)
    {
        var path = await NewPathAsync();
        await deno.RunAsync(inNode: !toNode, path, "write", "theirs");
        await using var test = await OpenAsync(path);
        await foreach (var entry in test.Store.ListAsync(KvRange.Prefix(["theirs"])))
        {
            await test.Store.SetAsync(["ours", entry.Key[1]], entry.As<V8Value>() ?? V8Value.Null);
        }

        var wrong = await deno.RunAsync(inNode: toNode, path, "compare", "ours");

        // What Node does not have, it did not write either.
        Assert.All(wrong.EnumerateArray(), static text => Assert.Matches("^(resizable|tracking|float16|sets): absent", text.GetString()));
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task A_record_is_a_plain_object_there_and_what_they_make_of_it_is_a_record_here(bool inNode, bool isOurs)
    {
        var path = await NewPathAsync();
        if (!isOurs)
        {
            await deno.RunAsync(inNode, path, "make");
        }

        await using var test = await OpenAsync(path, isOurs);
        await test.Store.SetAsync(["user"], Ada);

        Assert.Equal("equal", (await deno.RunAsync(inNode, path, "user")).GetString());

        var back = (await test.Store.GetAsync<User>(["user", "deno"]))!;
        Assert.Equal(("Grace", Ada.Born, Ada.Fortune), (back.Name, back.Born, back.Fortune));
        Assert.Equal([1, 2, 3], back.Photo);
        Assert.Equal(["c"], back.Tags);
        Assert.Equal(2, back.Scores["y"]);
        Assert.Equal(KvEncoding.V8, (await test.Store.GetAsync(["user"]))!.Value.Encoding);
    }

    [Fact]
    public async Task Keys_of_every_type_are_the_same_for_both()
    {
        var path = await NewPathAsync();
        await using var test = await OpenAsync(path, isOurs: true);
        KvKey key = [new byte[] { 0, 255 }, "a\0é", -BigInteger.Pow(2, 70), 0, 7, -1.5, 42.0, false, true];
        KvKey[] ours = [[new byte[] { 1 }, "b"], ["text", 1], ["text", 1.0], ["text", BigInteger.Pow(2, 64)], ["text", true]];
        foreach (var our in ours)
        {
            await test.Store.SetAsync(our, "ours");
        }

        var listed = (await deno.RunAsync(inNode: false, path, "keys")).EnumerateArray().Select(static k => k.GetString()).ToList();

        Assert.Equal("key", await test.Store.GetAsync<string>(key));
        Assert.Equal(
            ["""[[0,255],"a\u0000é","-1180591620717411303424n","0n","7n",-1.5,42,false,true]""", """[[1],"b"]""", """["text","1n"]""",
                """["text","18446744073709551616n"]""", """["text",1]""", """["text",true]"""],
            listed);
    }

    [Fact]
    public async Task A_counter_of_three_programs_at_once_is_exact()
    {
        const int Times = 150;
        var path = await NewPathAsync();
        await deno.RunAsync(inNode: false, path, "make");
        await using var test = await OpenAsync(path);
        using var inDeno = deno.Start(inNode: false, path, "count", $"{Times}");
        using var inNode = deno.Start(inNode: true, path, "count", $"{Times}");

        for (var i = 0; i < Times; i++)
        {
            await test.Store.SumAsync(["count"], 1);
        }

        await Task.WhenAll(inDeno.EndAsync(), inNode.EndAsync());
        Assert.Equal((ulong)(3 * Times), await test.Store.GetAsync<ulong>(["count"]));
    }

    [Fact]
    public async Task Deno_lists_everything_that_is_written_into_its_file()
    {
        var path = await NewPathAsync();
        await deno.RunAsync(inNode: false, path, "make");
        await using var test = await OpenAsync(path);
        await test.Store.Atomic().Set(["record"], Ada).Set(["text"], "é€").Set(["number"], 1.5).Set(["big"], long.MaxValue)
            .Set(["none"], (string?)null)
            .Set(["bytes"], new byte[] { 1, 2 }).Set(["array"], (int[])[1, 2]).Set(["day"], DayOfWeek.Friday).Sum(["counter"], 5)
            .SetVersionstamped(["log"], new { A = 1 }).CommitAsync();

        var listed = await deno.RunAsync(inNode: false, path, "list");

        Assert.Equal(10, listed.EnumerateObject().Count());
        Assert.Equal("9223372036854775807n", listed.GetProperty("""["big"]""").GetString());
        Assert.Equal("5n", listed.GetProperty("""["counter"]""").GetProperty("value").GetString());
        Assert.Equal(JsonValueKind.Null, listed.GetProperty("""["none"]""").ValueKind);
        Assert.Equal("[1,2]", listed.GetProperty("""["array"]""").GetRawText());
    }

    [Fact]
    public async Task In_a_shared_file_Deno_s_limits_hold()
    {
        var path = await NewPathAsync();
        await using var test = await OpenAsync(path, isOurs: true);

        await test.Store.SetAsync(["k"], new byte[65_536]);
        var refused = await Assert.ThrowsAsync<ArgumentException>(() => test.Store.SetAsync(["k"], new byte[65_537]).AsTask());

        Assert.Contains("max 65536 bytes", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_shared_file_is_refused_where_Deno_could_not_read_it()
    {
        await using var prefixed = await database.CreateStoreAsync(options: static o => (o.SharedWithDeno, o.TablePrefix) = (true, "kv_"));

        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => prefixed.Store.SetAsync(["k"], 1).AsTask());

        Assert.Contains("SharedWithDeno", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_either_program_writes_is_in_the_change_feed_at_its_version(bool inNode)
    {
        var path = await NewPathAsync();
        await using var test = await OpenAsync(path, isOurs: true);
        var start = (await test.Changes().EnableAsync()).Oldest!.Value;
        var names = (await deno.RunAsync(inNode, path, "write", "theirs")).EnumerateArray().Select(static n => n.GetString()!).ToHashSet();

        var told = new Dictionary<KvKey, KvVersionstamp>();
        await foreach (var set in test.Store.ChangesAsync(start, KvRange.Prefix(["theirs"])))
        {
            set.Changes.ToList().ForEach(change => told[change.Key] = set.Versionstamp);
            if (told.Count == names.Count)
            {
                break;
            }
        }

        Assert.Equal(names, told.Keys.Select(static key => key[1].AsString()).ToHashSet());
        await foreach (var entry in test.Store.ListAsync(KvRange.Prefix(["theirs"])))
        {
            Assert.Equal(entry.Versionstamp, told[entry.Key]);
        }
    }

    private async Task<string> NewPathAsync() => new SqliteConnectionStringBuilder(await database.CreateEmptyAsync()).DataSource;

    private async Task<KvTestStore> OpenAsync(string path, bool isOurs = false)
    {
        var test = await database.CreateStoreAsync(
            options: options => options.SharedWithDeno = isOurs, connectionString: $"Data Source={path}");
        await test.Services.MigrateKvStoreAsync();
        return test;
    }

    private sealed record User(
        string Name, DateTimeOffset Born, BigInteger Fortune, byte[] Photo, string[] Tags, Dictionary<string, double> Scores, string? Gone);
}
