using System.Text.Json.Serialization;

namespace Kv.Messages;

/// <summary>Contracts of what the store itself keeps as JSON, for programs without JSON by reflection.</summary>
[JsonSerializable(typeof(KvMessageError))]
internal sealed partial class KvJsonContext : JsonSerializerContext;
