using System.Numerics;

namespace Kv.Tests.Units;

/// <summary>Keys as Deno 2.9.5 writes them, in ascending order.</summary>
internal static class KeyVectors
{
    // The sign bit of double.NaN is set; JavaScript's NaN has it clear.
    private static readonly double PositiveNaN = BitConverter.UInt64BitsToDouble(0x7FF8000000000000);
    private static readonly double NegativeNaN = BitConverter.UInt64BitsToDouble(0xFFF8000000000000);

    public static readonly (string Name, KvKey Key, string Hex)[] All =
    [
        ("[Uint8Array []]", [Array.Empty<byte>()], "0100"),
        ("[Uint8Array 00 00]", [new byte[] { 0, 0 }], "0100FF00FF00"),
        ("[Uint8Array 00 FF 00 00]", [new byte[] { 0, 0xFF, 0, 0 }], "0100FFFF00FF00FF00"),
        ("[Uint8Array 01 02 00 07 08]", [new byte[] { 1, 2, 0, 7, 8 }], "01010200FF070800"),
        ("['']", [""], "0200"),
        ("['a\\u0000b']", ["a\0b"], "026100FF6200"),
        ("['hello']", ["hello"], "0268656C6C6F00"),
        ("['users', 42, 7n, true, Uint8Array FF]", ["users", 42.0, 7, true, new byte[] { 0xFF }],
            "02757365727300" + "21C045000000000000" + "1507" + "27" + "01FF00"),
        ("['é€😀']", ["é€😀"], "02C3A9E282ACF09F988000"),
        ("[-(2n**2039n)]", [-BigInteger.Pow(2, 2039)], "0B007F" + Repeat("FF", 254)),
        ("[-(2n**64n)]", [-BigInteger.Pow(2, 64)], "0BF6FEFFFFFFFFFFFFFFFF"),
        ("[-(2n**64n-1n)]", [1 - BigInteger.Pow(2, 64)], "0C0000000000000000"),
        ("[-256n]", [-256], "12FEFF"),
        ("[-255n]", [-255], "1300"),
        ("[-1n]", [-1], "13FE"),
        ("[0n]", [0], "14"),
        ("[1n]", [1], "1501"),
        ("[255n]", [255], "15FF"),
        ("[256n]", [256], "160100"),
        ("[2n**63n-1n]", [long.MaxValue], "1C7FFFFFFFFFFFFFFF"),
        ("[2n**64n-1n]", [ulong.MaxValue], "1CFFFFFFFFFFFFFFFF"),
        ("[2n**64n]", [BigInteger.Pow(2, 64)], "1D09010000000000000000"),
        ("[2n**2039n]", [BigInteger.Pow(2, 2039)], "1DFF80" + Repeat("00", 254)),
        ("[-NaN]", [NegativeNaN], "210007FFFFFFFFFFFF"),
        ("[-Infinity]", [double.NegativeInfinity], "21000FFFFFFFFFFFFF"),
        ("[-42.5]", [-42.5], "213FBABFFFFFFFFFFF"),
        ("[-1]", [-1.0], "21400FFFFFFFFFFFFF"),
        ("[-0]", [-0.0], "217FFFFFFFFFFFFFFF"),
        ("[0]", [0.0], "218000000000000000"),
        ("[5e-324]", [5e-324], "218000000000000001"),
        ("[1]", [1.0], "21BFF0000000000000"),
        ("[42.5]", [42.5], "21C045400000000000"),
        ("[9007199254740991]", [9007199254740991.0], "21C33FFFFFFFFFFFFF"),
        ("[Infinity]", [double.PositiveInfinity], "21FFF0000000000000"),
        ("[NaN]", [PositiveNaN], "21FFF8000000000000"),
        ("[false]", [false], "26"),
        ("[true]", [true], "27"),
    ];

    private static string Repeat(string text, int count) => string.Concat(Enumerable.Repeat(text, count));
}
