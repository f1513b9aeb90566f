namespace Kv.Diagnostics;

/// <summary>What a test asks the engine to fail at.</summary>
internal interface IFaults
{
    /// <summary>A point is reached.</summary>
    /// <param name="point">Its name, of <see cref="FailPoints"/>.</param>
    /// <param name="work">What the transaction does there; nothing for points outside of one.</param>
    ValueTask HitAsync(string point, CommitKinds work);

    /// <summary>A listing begins.</summary>
    /// <returns>After how many rows it fails; null if it does not.</returns>
    int? ListingFailsAfter();

    /// <summary>What a listing that fails is told.</summary>
    Exception ListingFailed();
}
