using System.Numerics;
using FsCheck;
using FsCheck.Fluent;

namespace Kv.Tests.Units;

/// <summary>Random keys that like to differ late: few distinct bytes, many 00 and FF, and shared beginnings.</summary>
internal static class KeyGenerators
{
    public static readonly Config Config = Config.QuickThrowOnFailure.WithMaxTest(2000);

    private static readonly Gen<byte> Bytes = Gen.Frequency(
        (6, Gen.Elements<byte>(0x00, 0xFF)),
        (4, Gen.Elements<byte>(0x01, 0x02, 0x0B, 0x14, 0x1D, 0x21, 0x26, 0x27, 0xFE)),
        (1, Gen.Choose(0, 255).Select(value => (byte)value)));

    private static readonly Gen<string> Texts = Gen.Elements(
            "\0", "\0", "a", "b", "é", "ÿ", "€", "\uD7FF", "\uE000", "\uFFFD", "\uFFFF", "\uFEFF", "😀", "\U0010FFFF",
            "\"", "\\", "/", "\n", "\u007F", "\u202E", "\u2028", " ", "]", ",", "0x")
        .ArrayOf().Select(texts => string.Concat(texts.Take(6)));

    private static readonly Gen<BigInteger> Integers =
        from bits in Gen.Frequency((3, Gen.Choose(0, 72)), (1, Gen.Choose(0, 2039)))
        from distance in Gen.Choose(-2, 2)
        from sign in Gen.Elements(-1, 1)
        select sign * (BigInteger.Pow(2, bits) + distance);

    private static readonly Gen<double> Doubles = Gen.Frequency(
        (1, Gen.Elements(
            0.0, -0.0, 1.0, -1.0, double.Epsilon, -double.Epsilon, double.MaxValue, double.MinValue, double.PositiveInfinity,
            double.NegativeInfinity, double.NaN, Math.CopySign(double.NaN, 1),
            BitConverter.UInt64BitsToDouble(0x7FF0000000000001), 1e21, 1e-7)),
        (1, Bytes.ArrayOf(8).Select(bytes => BitConverter.ToDouble(bytes))),
        (1, ArbMap.Default.GeneratorFor<double>()));

    public static readonly Gen<KvKeyPart> Parts = Gen.OneOf(
        Bytes.ArrayOf().Select(bytes => (KvKeyPart)bytes.Take(6).ToArray()),
        Texts.Select(text => (KvKeyPart)text),
        Integers.Select(number => (KvKeyPart)number),
        Doubles.Select(number => (KvKeyPart)number),
        Gen.Elements(false, true).Select(truth => (KvKeyPart)truth));

    private static readonly Gen<KvKeyPart[]> FewParts = Gen.Choose(0, 4).SelectMany(count => Parts.ArrayOf(count));

    public static readonly Arbitrary<KvKey> Keys = Arb.From(FewParts.Select(parts => KvKey.Create(parts)), Shorter);

    /// <summary>Two keys with a common beginning.</summary>
    public static readonly Arbitrary<(KvKey Left, KvKey Right)> Pairs = Arb.From(
        from common in FewParts
        from left in FewParts
        from right in FewParts
        select (Left: KvKey.Create([.. common, .. left]), Right: KvKey.Create([.. common, .. right])),
        pair => [.. Shorter(pair.Left).Select(left => (left, pair.Right)), .. Shorter(pair.Right).Select(right => (pair.Left, right))]);

    /// <summary>Bytes that often look like keys: random ones, and keys cut, changed or continued.</summary>
    public static readonly Arbitrary<byte[]> Encoded = Arb.From(
        Gen.OneOf(
            Bytes.ArrayOf(),
            from key in Keys.Generator
            from cut in Gen.Choose(0, key.Encoded.Length)
            from tail in Bytes.ArrayOf()
            select (byte[])[.. key.Encoded.Span[..cut], .. tail]),
        bytes => Enumerable.Range(0, bytes.Length).Select(i => (byte[])[.. bytes[..i], .. bytes[(i + 1)..]]));

    private static IEnumerable<KvKey> Shorter(KvKey key) =>
        Enumerable.Range(0, key.Count).Select(skipped => KvKey.Create([.. key.Where((_, index) => index != skipped)]));
}
