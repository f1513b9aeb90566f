using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Sqlite;

/// <summary>What another program writes into the file is in the change feed, by the statements that Deno uses.</summary>
public sealed class OtherWritersChangesTests(SqliteDatabase database) : IClassFixture<SqliteDatabase>
{
    private const string Take = "update data_version set version = version + 3 where k = 0;";

    private const string Set = """
        insert into kv (k, v, v_encoding, version, expiration_ms)
        values (x'026100', x'01', 3, (select version from data_version where k = 0), -1)
        on conflict (k) do update set v = excluded.v, v_encoding = excluded.v_encoding, version = excluded.version,
            expiration_ms = excluded.expiration_ms;
        """;

    private const string Replace = """
        insert or replace into kv (k, v, v_encoding, version, expiration_ms)
        values (x'026100', x'02', 3, (select version from data_version where k = 0), -1);
        """;

    // The collector raises the version after it has deleted, and by one.
    private const string Collect = """
        delete from kv where expiration_ms >= 0 and expiration_ms <= 1000000;
        update data_version set version = version + 1 where k = 0;
        """;

    [Fact]
    public async Task What_Deno_sets_deletes_and_collects_is_told_of_once_and_in_its_order()
    {
        await using var test = await database.CreateStoreAsync(
            options: static options => options.WatchInterval = TimeSpan.FromMilliseconds(10));
        var start = (await test.Services.GetRequiredService<IKvChanges>().EnableAsync()).Oldest!.Value;
        await using var changes = test.Store.ChangesAsync(start).GetAsyncEnumerator();

        await WriteAsync(test, Take + Set);
        Assert.Equal("3: a=", Text(await changes.NextAsync(), start));
        await WriteAsync(test, Take + Replace);
        Assert.Equal("6: a=", Text(await changes.NextAsync(), start));
        await WriteAsync(test, Take + "delete from kv where k = x'026100';");
        Assert.Equal("9: a-", Text(await changes.NextAsync(), start));
        await WriteAsync(test, Take + Set + "update kv set expiration_ms = 1;" + Set.Replace("026100", "026200", StringComparison.Ordinal));
        Assert.Equal("12: a=, b=", Text(await changes.NextAsync(), start));
        await WriteAsync(test, Collect);
        Assert.Equal("13: a-", Text(await changes.NextAsync(), start));

        var all = new List<string>();
        await foreach (var set in test.Store.ChangesAsync(start))
        {
            all.Add(Text(set, start));
            if (all.Count == 5)
            {
                break;
            }
        }

        Assert.Equal(["3: a=", "6: a=", "9: a-", "12: a=, b=", "13: a-"], all);
    }

    [Fact]
    public async Task What_is_recorded_ahead_of_its_version_is_shown_when_that_is_given_out_and_never_over_what_came_later()
    {
        await using var test = await database.CreateStoreAsync();
        var start = (await test.Services.GetRequiredService<IKvChanges>().EnableAsync()).Oldest!.Value;
        await WriteAsync(test, Take + Set + "update kv set expiration_ms = 1;");

        // It deletes what has expired without a version of its own, and sets it again at once.
        await WriteAsync(test, "delete from kv where expiration_ms = 1;");
        await WriteAsync(test, Take + Set);
        await using var changes = test.Store.ChangesAsync(start).GetAsyncEnumerator();

        Assert.Equal("3: a=", Text(await changes.NextAsync(), start));
        Assert.Equal("4: a-", Text(await changes.NextAsync(), start));
        Assert.Equal("6: a=", Text(await changes.NextAsync(), start));
    }

    [Fact]
    public async Task A_follower_has_what_waits_for_a_version_shown_when_no_commit_comes()
    {
        await using var test = await database.CreateStoreAsync();
        var start = (await test.Services.GetRequiredService<IKvChanges>().EnableAsync()).Oldest!.Value;
        await WriteAsync(test, Take + Set + "update kv set expiration_ms = 1;");
        await WriteAsync(test, "delete from kv where expiration_ms = 1;");
        await using var changes = test.Store.ChangesAsync(start).GetAsyncEnumerator();

        Assert.Equal("3: a=", Text(await changes.NextAsync(), start));
        Assert.Equal("4: a-", Text(await changes.NextAsync(), start));
    }

    private static Task WriteAsync(KvTestStore test, string statements) => test.ExecuteAsync($"begin immediate; {statements} commit");

    private static string Text(KvChangeSet set, KvVersionstamp start) =>
        $"{set.Versionstamp.Version - start.Version}: "
        + string.Join(", ", set.Changes.Select(static c => $"{c.Key[0]}".Trim('"') + (c.IsDeleted ? "-" : "=")));
}
