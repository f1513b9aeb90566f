using System.Text;
using FsCheck;
using FsCheck.Fluent;

namespace Kv.Tests.Units;

public sealed class KeyPropertyTests
{
    [Fact]
    public void The_order_of_the_bytes_is_the_order_of_the_keys() =>
        Check.One(KeyGenerators.Config, Prop.ForAll(KeyGenerators.Pairs, pair =>
            Math.Sign(Compare(pair.Left, pair.Right)) == Math.Sign(pair.Left.Encoded.Span.SequenceCompareTo(pair.Right.Encoded.Span))
            && Math.Sign(Compare(pair.Left, pair.Right)) == Math.Sign(pair.Left.CompareTo(pair.Right))));

    [Fact]
    public void Parts_compare_as_the_keys_made_of_them() =>
        Check.One(KeyGenerators.Config, Prop.ForAll(KeyGenerators.Parts.Two().ToArbitrary(), pair =>
        {
            var (left, right) = pair;
            KvKey leftKey = [left];
            KvKey rightKey = [right];
            return Math.Sign(left.CompareTo(right)) == Math.Sign(leftKey.CompareTo(rightKey))
                && left.Equals(right) == leftKey.Equals(rightKey)
                && (!left.Equals(right) || left.GetHashCode() == right.GetHashCode());
        }));

    [Fact]
    public void A_decoded_key_has_the_parts_it_was_made_of() =>
        Check.One(KeyGenerators.Config, Prop.ForAll(KeyGenerators.Parts.ArrayOf().ToArbitrary(), parts =>
        {
            var decoded = KvKey.FromEncoded(KvKey.Create(parts).Encoded.Span);
            return decoded.SequenceEqual(parts) && KvKey.Create([.. decoded]) == KvKey.Create(parts);
        }));

    [Fact]
    public void Any_bytes_are_a_key_or_a_format_error() =>
        Check.One(KeyGenerators.Config.WithMaxTest(10_000), Prop.ForAll(KeyGenerators.Encoded, bytes =>
        {
            var stored = KvKey.FromStored(bytes);
            var text = stored.ToString();
            try
            {
                var key = KvKey.FromEncoded(bytes);
                return stored.IsDecodable && key == stored && key.Count == key.ToArray().Length && KvKey.Parse(text).SequenceEqual(key);
            }
            catch (FormatException)
            {
                return !stored.IsDecodable && text == $"undecodable 0x{Convert.ToHexString(bytes)}";
            }
        }));

    [Fact]
    public void What_was_decoded_is_encoded_to_the_same_meaning() =>
        Check.One(KeyGenerators.Config.WithMaxTest(10_000), Prop.ForAll(KeyGenerators.Encoded, bytes =>
        {
            var stored = KvKey.FromStored(bytes);
            return !stored.IsDecodable || KvKey.FromEncoded(KvKey.Create([.. stored]).Encoded.Span).SequenceEqual(stored);
        }));

    [Fact]
    public void A_key_is_parsed_from_its_text() =>
        Check.One(KeyGenerators.Config, Prop.ForAll(KeyGenerators.Keys, key =>
            KvKey.Parse(key.ToString()) == key && KvKey.TryParse(key.ToString(), out var parsed) && parsed == key));

    [Fact]
    public void A_key_starts_with_exactly_its_leading_parts() =>
        Check.One(KeyGenerators.Config, Prop.ForAll(KeyGenerators.Pairs, pair =>
            pair.Right.StartsWith(pair.Left) == pair.Right.Take(pair.Left.Count).SequenceEqual(pair.Left)));

    [Fact]
    public void A_prefix_selects_exactly_the_keys_that_continue_it() =>
        Check.One(KeyGenerators.Config, Prop.ForAll(KeyGenerators.Pairs, pair =>
        {
            var (prefix, key) = pair;
            var selector = KvRange.Prefix(prefix);
            var bytes = key.Encoded.Span;
            var selected = bytes.SequenceCompareTo(selector.Start) >= 0 && bytes.SequenceCompareTo(selector.End) < 0;
            return selected == (key != prefix && key.Take(prefix.Count).SequenceEqual(prefix));
        }));

    // The rules of the specification, written without looking at bytes of the encoding.
    private static int Compare(KvKey left, KvKey right)
    {
        for (var i = 0; i < Math.Min(left.Count, right.Count); i++)
        {
            var order = Compare(left[i], right[i]);
            if (order != 0)
            {
                return order;
            }
        }

        return left.Count.CompareTo(right.Count);
    }

    private static int Compare(KvKeyPart left, KvKeyPart right) => left.Type != right.Type
        ? ((int)left.Type).CompareTo((int)right.Type)
        : left.Type switch
        {
            KvKeyPartType.Bytes => Compare(left.AsBytes().ToArray(), right.AsBytes().ToArray()),
            KvKeyPartType.String => Compare(Encoding.UTF8.GetBytes(left.AsString()), Encoding.UTF8.GetBytes(right.AsString())),
            KvKeyPartType.Integer => left.AsInteger().CompareTo(right.AsInteger()),
            KvKeyPartType.Double => Compare(left.AsDouble(), right.AsDouble()),
            _ => left.AsBoolean().CompareTo(right.AsBoolean()),
        };

    private static int Compare(byte[] left, byte[] right)
    {
        for (var i = 0; i < Math.Min(left.Length, right.Length); i++)
        {
            if (left[i] != right[i])
            {
                return left[i] - right[i];
            }
        }

        return left.Length.CompareTo(right.Length);
    }

    private static int Compare(double left, double right)
    {
        static int Rank(double value) => double.IsNaN(value)
            ? double.IsNegative(value) ? -2 : 2
            : value < 0 || (value == 0 && double.IsNegative(value)) ? -1 : 1;

        if (Rank(left) != Rank(right) || double.IsNaN(left))
        {
            return Rank(left).CompareTo(Rank(right));
        }

        return left.CompareTo(right);
    }
}
