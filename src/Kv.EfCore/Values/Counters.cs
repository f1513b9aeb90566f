using System.Globalization;
using System.Numerics;

namespace Kv.Values;

/// <summary>What becomes a counter where the caller asks for one.</summary>
internal static class Counters
{
    /// <summary>The counter that an integer of any type is.</summary>
    /// <exception cref="KvException">
    /// It is no integer (<see cref="KvErrorKind.Type"/>), or one below 0 or beyond 64 bits (<see cref="KvErrorKind.Range"/>).
    /// </exception>
    public static ulong Of(object? value)
    {
        BigInteger number = value switch
        {
            ulong of => of,
            long of => of,
            int of => of,
            uint of => of,
            short of => of,
            ushort of => of,
            byte of => of,
            sbyte of => of,
            nint of => of,
            nuint of => of,
            Int128 of => of,
            UInt128 of => of,
            BigInteger of => of,
            _ => throw new KvException(
                KvErrorKind.Type,
                $"A counter is made of an integer, and {(value is null ? "null" : $"a {TypeText.Of(value.GetType())}")} is none. "
                + "Pass an integer, or leave the encoding out."),
        };
        return number >= 0 && number <= ulong.MaxValue
            ? (ulong)number
            : throw new KvException(
                KvErrorKind.Range,
                $"A counter goes from 0 to {ulong.MaxValue}, and {number.ToString(CultureInfo.InvariantCulture)} is outside. "
                + "Store it as JSON.");
    }
}
