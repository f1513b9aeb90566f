namespace Kv.Simulated;

/// <summary>The store did what the model does not allow.</summary>
/// <param name="message">What.</param>
/// <param name="inner">The exception behind it, if there is one.</param>
public sealed class SimulationFailedException(string message, Exception? inner = null) : Exception(message, inner);
