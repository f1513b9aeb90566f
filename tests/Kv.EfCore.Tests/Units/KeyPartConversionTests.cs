using System.Globalization;
using System.Numerics;

namespace Kv.Tests.Units;

/// <summary>What becomes a part of a key, in what order such parts sort, and how they are read back.</summary>
public sealed class KeyPartConversionTests
{
    private enum Level : byte
    {
        Low = 1,
        High = 200,
    }

    private enum Offset : long
    {
        Before = long.MinValue,
        After = 5,
    }

    private enum Huge : ulong
    {
        Most = ulong.MaxValue,
    }

    [Fact]
    public void Every_integer_type_is_the_integer_part_of_its_value()
    {
        KvKeyPart[] parts =
        [
            (byte)7, (sbyte)7, (short)7, (ushort)7, 7, 7U, 7L, 7UL, (nint)7, (nuint)7, (Int128)7, (UInt128)7, new BigInteger(7),
        ];

        Assert.All(parts, static part => Assert.Equal(KvKey.Parse("[7]")[0], part));
        Assert.Equal(BigInteger.Pow(2, 128) - 1, ((KvKeyPart)UInt128.MaxValue).AsInteger());
        Assert.Equal(-BigInteger.Pow(2, 127), ((KvKeyPart)Int128.MinValue).AsInteger());
        Assert.Equal(uint.MaxValue, ((KvKeyPart)uint.MaxValue).AsInt64());
    }

    [Fact]
    public void A_guid_is_its_text_in_lower_case()
    {
        var value = Guid.Parse("0193A5B0-7E8C-7ABC-9DEF-0123456789AB");
        KvKey key = ["orders", value];

        Assert.Equal("[\"orders\", \"0193a5b0-7e8c-7abc-9def-0123456789ab\"]", key.ToString());
        Assert.Equal(value, key[1].AsGuid());
    }

    [Fact]
    public void Guids_of_version_7_sort_by_their_time()
    {
        var start = DateTimeOffset.Parse("1999-12-31T23:59:59.999Z", CultureInfo.InvariantCulture);
        Guid[] made = [.. Enumerable.Range(0, 300).Select(i => Guid.CreateVersion7(start.AddMilliseconds(i * 1_234_567L)))];

        KvKey[] keys = [.. made.Select(static value => KvKey.Create("m", value))];

        Assert.Equal(keys, keys.Order());
    }

    [Fact]
    public void Instants_sort_by_time_and_are_one_part_whatever_their_offsets()
    {
        DateTimeOffset[] instants =
        [
            DateTimeOffset.MinValue, new(1, 1, 1, 0, 0, 0, 1, TimeSpan.Zero), new(999, 12, 31, 0, 0, 0, TimeSpan.Zero),
            new(2026, 11, 28, 0, 30, 0, TimeSpan.FromHours(14)), new(2026, 11, 27, 23, 0, 0, TimeSpan.FromHours(-12)),
            new DateTimeOffset(2026, 11, 28, 11, 0, 0, TimeSpan.Zero).AddTicks(1), DateTimeOffset.MaxValue,
        ];

        KvKey[] keys = [.. instants.Select(static value => KvKey.Create(value))];

        Assert.Equal(keys, keys.Order());
        Assert.Equal(instants.Select(static i => i.UtcTicks), keys.Select(static key => key[0].AsDateTimeOffset().UtcTicks));
        Assert.All(keys, static key => Assert.Equal(TimeSpan.Zero, key[0].AsDateTimeOffset().Offset));
        Assert.Equal((KvKeyPart)instants[3], instants[3].ToOffset(TimeSpan.FromHours(-3)));
        Assert.Equal("\"2026-11-27T10:30:00.0000000Z\"", ((KvKeyPart)instants[3]).ToString());
    }

    [Fact]
    public void Dates_and_times_of_day_sort_by_time_and_come_back()
    {
        DateOnly[] dates = [DateOnly.MinValue, new(987, 6, 5), new(2026, 2, 28), new(2026, 11, 1), DateOnly.MaxValue];
        TimeOnly[] times = [TimeOnly.MinValue, new(1), new(9, 59, 59), new(10, 0), TimeOnly.MaxValue];

        KvKey[] byDate = [.. dates.Select(static value => KvKey.Create(value))];
        KvKey[] byTime = [.. times.Select(static value => KvKey.Create(value))];

        Assert.Equal(byDate, byDate.Order());
        Assert.Equal(byTime, byTime.Order());
        Assert.Equal(dates, byDate.Select(static key => key[0].AsDateOnly()));
        Assert.Equal(times, byTime.Select(static key => key[0].AsTimeOnly()));
        Assert.Equal("[\"0987-06-05\"]", byDate[1].ToString());
        Assert.Equal("[\"09:59:59.0000000\"]", byTime[2].ToString());
    }

    [Theory]
    [InlineData("ar-SA")]
    [InlineData("fa-IR")]
    [InlineData("th-TH")]
    public void Parts_are_the_same_in_every_culture(string culture)
    {
        var date = new DateOnly(2026, 11, 28);
        var instant = new DateTimeOffset(2026, 11, 28, 17, 5, 0, TimeSpan.Zero);
        KvKey expected = ["2026-11-28", "2026-11-28T17:05:00.0000000Z", "17:05:00.0000000"];
        var before = CultureInfo.CurrentCulture;
        CultureInfo.CurrentCulture = new CultureInfo(culture);
        try
        {
            KvKey key = [date, instant, new TimeOnly(17, 5)];

            Assert.Equal(expected, key);
            Assert.Equal((date, instant, new TimeOnly(17, 5)), (key[0].AsDateOnly(), key[1].AsDateTimeOffset(), key[2].AsTimeOnly()));
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [Fact]
    public void A_value_of_an_enum_is_the_integer_part_of_its_number()
    {
        Assert.Equal((KvKeyPart)200, KvKeyPart.FromEnum(Level.High));
        Assert.Equal((KvKeyPart)77, KvKeyPart.FromEnum((Level)77));
        Assert.Equal((KvKeyPart)long.MinValue, KvKeyPart.FromEnum(Offset.Before));
        Assert.Equal((KvKeyPart)ulong.MaxValue, KvKeyPart.FromEnum(Huge.Most));

        Assert.Equal(Level.High, KvKeyPart.FromEnum(Level.High).AsEnum<Level>());
        Assert.Equal((Level)77, KvKeyPart.FromEnum((Level)77).AsEnum<Level>());
        Assert.Equal(Offset.Before, KvKeyPart.FromEnum(Offset.Before).AsEnum<Offset>());
        Assert.Equal(Huge.Most, KvKeyPart.FromEnum(Huge.Most).AsEnum<Huge>());
    }

    [Theory]
    [InlineData(256)]
    [InlineData(-1)]
    [InlineData(long.MaxValue)]
    public void A_number_that_an_enum_cannot_have_is_refused(long number)
    {
        KvKeyPart part = number;

        Assert.Contains("Byte", Assert.Throws<OverflowException>(() => part.AsEnum<Level>()).Message, StringComparison.Ordinal);
        Assert.Throws<OverflowException>(() => ((KvKeyPart)BigInteger.Pow(2, 64)).AsEnum<Huge>());
    }

    [Theory]
    [InlineData("0193A5B0-7E8C-7ABC-9DEF-0123456789AB")]
    [InlineData("2026-11-28T17:05:00Z")]
    [InlineData("2026-11-28 ")]
    [InlineData("17:05")]
    [InlineData("")]
    public void A_text_that_none_of_them_gives_is_not_read_as_one(string text)
    {
        KvKeyPart part = text;

        Assert.Throws<FormatException>(() => part.AsGuid());
        Assert.Throws<FormatException>(() => part.AsDateTimeOffset());
        Assert.Throws<FormatException>(() => part.AsDateOnly());
        Assert.Throws<FormatException>(() => part.AsTimeOnly());
        Assert.Throws<InvalidOperationException>(() => ((KvKeyPart)5).AsGuid());
        Assert.Throws<InvalidOperationException>(() => part.AsEnum<Level>());
    }

    [Fact]
    public void Create_takes_the_parts_one_by_one()
    {
        KvKey expected = ["users", 42L, true];

        Assert.Equal(expected, KvKey.Create("users", 42L, true));
        Assert.Equal(KvKey.Empty, KvKey.Create());
    }
}
