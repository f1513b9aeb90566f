namespace Kv.Faults;

/// <summary>Which attempts of one kind fail.</summary>
internal sealed class FaultRule
{
    private int _skip;
    private int _left;
    private int _every = 1;
    private int _seen;

    /// <summary>How many attempts there were.</summary>
    public int Count { get; private set; }

    /// <summary>How many of them failed.</summary>
    public int Failures { get; private set; }

    /// <summary>How long each takes.</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>Whether any is to fail.</summary>
    public bool IsSet => _left > 0;

    /// <summary>Has attempts fail from now on.</summary>
    /// <param name="skip">How many pass by first.</param>
    /// <param name="every">Which of those after that.</param>
    /// <param name="times">How many fail.</param>
    public void Set(int skip, int every, int times) => (_skip, _every, _left, _seen) = (skip, every, times, 0);

    /// <summary>Ends what was set; the numbers stay.</summary>
    public void Clear() => (_left, Delay) = (0, TimeSpan.Zero);

    /// <summary>Counts an attempt.</summary>
    /// <returns>Whether it fails.</returns>
    public bool Next()
    {
        Count++;
        if (_left == 0 || ++_seen <= _skip || (_seen - _skip) % _every != 0)
        {
            return false;
        }

        _left -= _left == int.MaxValue ? 0 : 1;
        Failures++;
        return true;
    }
}
