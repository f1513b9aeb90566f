namespace Kv.Connections;

/// <summary>A connection leads to a server that is not the one which it is to lead to.</summary>
internal sealed class OtherServerException(string message) : Exception(message);
