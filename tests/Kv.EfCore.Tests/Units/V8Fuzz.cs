namespace Kv.Tests.Units;

/// <summary>Reads inputs that are made of real ones: what is read is written and read again, and nothing takes much memory.</summary>
internal sealed class V8Fuzz(int seed)
{
    // For a byte of input: an object of 32 bytes and its places in two lists. A varint's array of lists is the rest.
    private const int MostPerByte = 200;
    private const int Free = 200_000;
    private static readonly byte[][] Real =
    [
        .. V8Vectors.All.Select(static v => Convert.FromHexString(v.Hex)),
        .. V8Vectors.Foreign.Select(static v => Convert.FromHexString(v.Hex)),
        .. V8Vectors.Refused.Select(static v => Convert.FromHexString(v.Hex)).Where(static bytes => bytes.Length > 2),
    ];

    private readonly Random _random = new(seed);

    /// <summary>How many inputs were values.</summary>
    public int Read { get; private set; }

    public void Run(int inputs)
    {
        for (var i = 0; i < inputs; i++)
        {
            var input = Next();
            try
            {
                RunOne(input);
            }
            catch (Exception error) when (error is not KvException)
            {
                throw new InvalidOperationException($"Seed {seed}, input {i}: {Convert.ToHexString(input)}", error);
            }
            catch (KvException refused) when (refused.Kind == KvErrorKind.Encoding)
            {
                // As it should be.
            }
        }
    }

    private void RunOne(byte[] input)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        V8Value? value = null;
        KvException? refused = null;
        try
        {
            value = V8Value.Parse(input);
        }
        catch (KvException error)
        {
            refused = error;
        }

        if (GC.GetAllocatedBytesForCurrentThread() - before is var taken && taken > Free + (MostPerByte * input.Length))
        {
            throw new InvalidOperationException($"{taken} bytes were taken.");
        }

        if (value is null)
        {
            throw refused!;
        }

        Read++;
        var written = value.ToBytes();
        var again = V8Value.Parse(written).ToBytes();
        if (!written.AsSpan().SequenceEqual(again))
        {
            throw new InvalidOperationException($"It is {Convert.ToHexString(written)}, and then {Convert.ToHexString(again)}.");
        }

        value.ToJson();
    }

    private byte[] Next()
    {
        List<byte> input = [.. Real[_random.Next(Real.Length)]];
        for (var changes = _random.Next(6); changes > 0; changes--)
        {
            var at = _random.Next(2, input.Count + 1);
            switch (_random.Next(6))
            {
                case 0 when at < input.Count:
                    input[at] = (byte)_random.Next(256);
                    break;
                case 1 when at < input.Count:
                    input[at] ^= (byte)(1 << _random.Next(8));
                    break;
                case 2 when at < input.Count:
                    input.RemoveRange(at, _random.Next(1, input.Count - at + 1));
                    break;
                case 3:
                    input.Insert(at, (byte)_random.Next(256));
                    break;
                default:
                    // A part of another one, most of all a whole value.
                    var other = Real[_random.Next(Real.Length)];
                    var from = _random.Next(2, other.Length);
                    input.InsertRange(at, other[(_random.Next(2) == 0 ? 2 : from)..]);
                    break;
            }
        }

        return [.. input];
    }
}
