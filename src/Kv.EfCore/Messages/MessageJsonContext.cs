using System.Text.Json.Serialization;

namespace Kv.Messages;

/// <summary>Contracts of what a message's columns and its dead letter hold as JSON, for programs without JSON by reflection.</summary>
[JsonSerializable(typeof(KvMessageError))]
[JsonSerializable(typeof(List<double>))]
internal sealed partial class MessageJsonContext : JsonSerializerContext;
