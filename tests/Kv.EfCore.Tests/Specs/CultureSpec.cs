using System.Globalization;
using Kv.Changes;
using Kv.TestKit;
using Microsoft.Extensions.DependencyInjection;

namespace Kv.Tests.Specs;

/// <summary>Under every culture the same is stored, compared and printed.</summary>
public abstract class CultureSpec(KvDatabase database)
{
    public static TheoryData<string> Cultures => ["tr-TR", "ar-SA", "th-TH", "fa-IR", "sv-SE", "he-IL", "de-CH"];

    [Theory]
    [MemberData(nameof(Cultures))]
    public async Task What_is_written_under_a_culture_is_what_is_written_under_none(string name)
    {
        await using var plain = await database.CreateStoreAsync();
        var expected = await WriteAsync(plain, CultureInfo.InvariantCulture);
        await using var test = await database.CreateStoreAsync(connectionString: await database.CreateEmptyAsync());
        await UnderAsync(Culture(name), () => test.Services.MigrateKvStoreAsync());

        Assert.Equal(expected, await WriteAsync(test, Culture(name)));

        // And what one culture wrote the other reads.
        Assert.Equal(-1234567.891, await test.Store.GetAsync<double>(["double"]));
        await UnderAsync(Culture(name), async () => Assert.Equal(-1234567.891, await plain.Store.GetAsync<double>(["double"])));
    }

    [Theory]
    [MemberData(nameof(Cultures))]
    public void Texts_that_are_read_again_are_the_same_under_every_culture(string name)
    {
        KvKey key = ["İıiI", -42L, long.MinValue, -1.5e-7, double.NegativeInfinity, true, (byte[])[1, 255]];
        var (stamp, id, notice) = (KvVersionstamp.FromVersion(1234567890123), new KvOperationId(-1234567, 99, 3), new Notice(77, ChangeKinds.All, 1234567));
        var expected = (key.ToString(), stamp.ToString(), id.ToString(), notice.ToString());
        var before = CultureInfo.CurrentCulture;
        CultureInfo.CurrentCulture = Culture(name);
        try
        {
            Assert.Equal(expected, (key.ToString(), stamp.ToString(), id.ToString(), notice.ToString()));
            Assert.Equal((key, stamp, id, notice), (KvKey.Parse(expected.Item1), KvVersionstamp.Parse(expected.Item2), KvOperationId.Parse(expected.Item3), Notice.Parse(expected.Item4)));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    // The most hostile of each: signs and separators that no parser expects.
    private static CultureInfo Culture(string name)
    {
        var culture = new CultureInfo(name);
        culture.NumberFormat.NegativeSign = name == "sv-SE" ? "\u2212" : culture.NumberFormat.NegativeSign == "-" ? "minus " : culture.NumberFormat.NegativeSign;
        culture.NumberFormat.NumberDecimalSeparator = "٫";
        culture.NumberFormat.NumberGroupSeparator = "٬";
        return culture;
    }

    private static async Task<List<string>> WriteAsync(KvTestStore test, CultureInfo culture)
    {
        await UnderAsync(culture, async () =>
        {
            await test.Store.Atomic().Set(["double"], -1234567.891).Set(["long"], -42L).Set(["decimal"], -1.5m).Set(["date"], new DateTimeOffset(2026, 2, 28, 1, 2, 3, TimeSpan.Zero))
                .Set(["İ", -1L, -1.5, "text"], "iı").Sum(["n"], 5).SumWithin(["m"], 7).CommitAsync();
            await test.Store.Atomic().Enqueue("m", new()
            {
                Topic = "TITLEİ",
                Priority = -3,
                BackoffSchedule = [TimeSpan.FromMilliseconds(1500), TimeSpan.FromMinutes(1)],
                KeysIfUndelivered = [["dead", -1L]],
                Delay = TimeSpan.FromDays(1),
            }).CommitAsync();
        });
        List<string> lines = [];
        await UnderAsync(culture, async () =>
        {
            await foreach (var entry in test.Store.ListAsync(KvRange.Prefix([])))
            {
                lines.Add($"{entry.Key} {Convert.ToHexString(entry.Value.Bytes.Span)} {entry.Value.Encoding}");
            }

            await using var context = test.CreateContext();
            foreach (var message in context.QueuedMessages)
            {
                lines.Add(string.Create(CultureInfo.InvariantCulture, $"{message.Topic} {message.Priority} {message.BackoffSchedule} {message.KeysIfUndelivered}"));
            }
        });
        return lines;
    }

    private static async Task UnderAsync(CultureInfo culture, Func<Task> work)
    {
        CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = culture;
        await work();
    }
}

public sealed class SqliteCultureTests(SqliteDatabase database) : CultureSpec(database), IClassFixture<SqliteDatabase>;

public sealed class PostgresCultureTests(PostgresDatabase database) : CultureSpec(database), IClassFixture<PostgresDatabase>;
