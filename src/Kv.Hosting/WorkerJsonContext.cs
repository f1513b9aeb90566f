using System.Text.Json.Serialization;
using Kv.Schedules;

namespace Kv;

/// <summary>Contracts of what the worker itself keeps as JSON, for programs without JSON by reflection.</summary>
[JsonSerializable(typeof(List<double>))]
[JsonSerializable(typeof(List<long>))]
[JsonSerializable(typeof(List<List<byte>?>))]
[JsonSerializable(typeof(Scheduler.State))]
internal sealed partial class WorkerJsonContext : JsonSerializerContext;
