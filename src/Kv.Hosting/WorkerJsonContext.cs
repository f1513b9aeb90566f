using System.Text.Json.Serialization;

namespace Kv;

/// <summary>Contracts of what the worker itself keeps as JSON, for programs without JSON by reflection.</summary>
[JsonSerializable(typeof(List<double>))]
[JsonSerializable(typeof(List<long>))]
[JsonSerializable(typeof(List<List<byte>?>))]
internal sealed partial class WorkerJsonContext : JsonSerializerContext;
