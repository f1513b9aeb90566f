using System.Globalization;
using System.Numerics;

namespace Kv.Schedules;

/// <summary>One field of a cron expression: which values it allows, as bits.</summary>
/// <param name="Values">Bit n is set if n is allowed.</param>
/// <param name="IsStar">Whether the field begins with an asterisk, which makes it no restriction where days are combined.</param>
/// <param name="IsFull">Whether it allows every value, however it is written.</param>
/// <param name="IsInterval">
/// Whether it allows every value, or those of a step over the whole range: <c>*/2</c>, <c>0-23/2</c>, <c>1/2</c>.
/// </param>
internal readonly record struct CronField(ulong Values, bool IsStar, bool IsFull, bool IsInterval)
{
    public bool Has(int value) => (Values & (1UL << value)) != 0;

    /// <summary>The least allowed value from here on; null if there is none.</summary>
    public int? AtLeast(int value) =>
        value < 64 && Values >> value is var rest and not 0 ? value + BitOperations.TrailingZeroCount(rest) : null;

    /// <summary>Reads a list of values, ranges and steps, such as <c>*/15</c>, <c>1-5</c>, <c>MON,WED-FRI/2</c>.</summary>
    /// <param name="text">The field.</param>
    /// <param name="name">What it is called in errors.</param>
    /// <param name="least">The least value.</param>
    /// <param name="most">The greatest value.</param>
    /// <param name="names">Names of values, in order from the least; none for fields that have numbers only.</param>
    /// <exception cref="ArgumentException">The field cannot be read.</exception>
    public static CronField Parse(string text, string name, int least, int most, params ReadOnlySpan<string> names)
    {
        var values = 0UL;
        var steps = false;
        foreach (var item in text.Split(','))
        {
            var (range, step) = item.Split('/') switch
            {
                [var whole] => (whole, 1),
                [var of, var by] when int.TryParse(by, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && n >= 1 && n <= most =>
                    (of, n),
                _ => throw Unreadable(item, $"a step is a number from 1 to {most} after one slash"),
            };
            var (from, to) = range.Split('-') switch
            {
                ["*"] => (least, most),
                // A single value with a step stands for the range to the end, as in 5/15.
                [var one] => (Value(one, item, names), item.Contains('/', StringComparison.Ordinal) ? most : Value(one, item, names)),
                [var first, var last] => (Value(first, item, names), Value(last, item, names)),
                _ => throw Unreadable(item, "a range is two values with one hyphen between them"),
            };
            if (from > to)
            {
                throw Unreadable(item, $"a range goes upwards, and {from} is above {to}");
            }

            for (var value = from; value <= to; value += step)
            {
                values |= 1UL << value;
            }

            // Nothing more of the step would fit before it or after it, and it has one to take.
            steps |= step > 1 && from + step <= most && from - step < least && to + step > most;
        }

        var isFull = BitOperations.PopCount(values) == most - least + 1;
        return new CronField(values, text.StartsWith('*'), isFull, isFull || steps);

        int Value(string part, string item, ReadOnlySpan<string> known)
        {
            for (var i = 0; i < known.Length; i++)
            {
                if (part.Equals(known[i], StringComparison.OrdinalIgnoreCase))
                {
                    return least + i;
                }
            }

            return int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most
                ? value
                : throw Unreadable(item, $"values are {least} to {most}{(known.Length > 0 ? $" or {known[0]} to {known[^1]}" : "")}");
        }

        ArgumentException Unreadable(string item, string rule) => Wrong(text, name, item, rule);
    }

    /// <summary>The error of a field that cannot be read.</summary>
    public static ArgumentException Wrong(string text, string name, string item, string rule) =>
        new($"The {name} field '{text}' of the cron expression cannot be read at '{item}': {rule}. "
            + "The fields are minute, hour, day of month, month, day of week, and before them, where there are six, second.");
}
