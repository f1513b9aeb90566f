using System.Text.Json.Serialization;

namespace Kv.Schedules;

/// <summary>The contract of what is noted of a schedule, for programs without JSON by reflection.</summary>
[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
[JsonSerializable(typeof(ScheduleState))]
internal sealed partial class ScheduleJsonContext : JsonSerializerContext;
