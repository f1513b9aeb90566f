namespace Kv.Benchmarks;

/// <summary>Counts of latencies in buckets 1 % wide: recording one allocates nothing, which would be charged to the operation.</summary>
public sealed class Latencies
{
    private const int PerDoubling = 64;
    private readonly long[] _buckets = new long[40 * PerDoubling];

    public long Count { get; private set; }

    public void Add(TimeSpan latency)
    {
        _buckets[Math.Clamp((int)(Math.Log2(Math.Max(latency.TotalMicroseconds * 10, 1)) * PerDoubling), 0, _buckets.Length - 1)]++;
        Count++;
    }

    public void Add(Latencies others)
    {
        for (var i = 0; i < _buckets.Length; i++)
        {
            _buckets[i] += others._buckets[i];
        }

        Count += others.Count;
    }

    /// <returns>Microseconds that the given part of all latencies does not exceed.</returns>
    public double At(double part)
    {
        var wanted = (long)Math.Ceiling(Count * part);
        var seen = 0L;
        for (var i = 0; i < _buckets.Length; i++)
        {
            seen += _buckets[i];
            if (seen >= wanted && seen > 0)
            {
                return Math.Round(Math.Pow(2, (i + 0.5) / PerDoubling) / 10, 1);
            }
        }

        return 0;
    }
}
