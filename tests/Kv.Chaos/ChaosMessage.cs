using System.Text.Json;
using System.Text.Json.Serialization;

namespace Kv.Chaos;

/// <summary>A message of the load.</summary>
/// <param name="Id">Its name, under which its effect is counted.</param>
/// <param name="Kind">What its handler does.</param>
/// <param name="Key">The group that it belongs to.</param>
/// <param name="Sequence">Its place in the group, from 1.</param>
[KvMessage("chaos")]
internal sealed record ChaosMessage(string Id, ChaosKind Kind, string? Key = null, long Sequence = 0)
{
    /// <summary>How it is enqueued.</summary>
    [JsonIgnore]
    public KvEnqueueOptions Options => Kind switch
    {
        // Failures that are meant to be are over soon.
        ChaosKind.Flaky => new() { BackoffSchedule = [TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(50)], GroupKey = Key },
        ChaosKind.Dead => new() { BackoffSchedule = [TimeSpan.FromMilliseconds(20)], KeysIfUndelivered = [["dead", Id]] },
        ChaosKind.Unique => new() { UniqueKey = Id, UniqueFor = TimeSpan.FromDays(1) },
        _ => new() { GroupKey = Key },
    };

    public static ChaosMessage? Read(string json)
    {
        try
        {
            return JsonSerializer.Deserialize<ChaosMessage>(json, JsonSerializerOptions.Web);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

internal enum ChaosKind
{
    /// <summary>Succeeds.</summary>
    Plain,

    /// <summary>Fails once, then succeeds.</summary>
    Flaky,

    /// <summary>Never succeeds.</summary>
    Dead,

    /// <summary>Enqueued by several producers; only one may get in.</summary>
    Unique,
}
