namespace Kv;

/// <summary>
/// A test expected something that is not so, or it cannot go on: the message says what there is instead. Any test framework shows it as a
/// failed test.
/// </summary>
/// <param name="message">What was expected, and what there is.</param>
/// <param name="inner">The exception behind it, if there is one.</param>
public sealed class KvTestException(string message, Exception? inner = null) : Exception(message, inner);
