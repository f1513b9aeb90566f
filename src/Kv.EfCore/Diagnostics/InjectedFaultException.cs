namespace Kv.Diagnostics;

/// <summary>A failure that a test has asked for: the cause of what callers are told.</summary>
/// <param name="message">Which one.</param>
internal sealed class InjectedFaultException(string message) : IOException(message);
