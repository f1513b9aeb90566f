namespace Kv;

/// <summary>What a run of maintenance did.</summary>
/// <param name="Steps">Its steps, in their order.</param>
/// <param name="Before">What there was to do.</param>
/// <param name="After">What is left.</param>
public sealed record KvMaintenanceReport(
    IReadOnlyList<KvMaintenanceStep> Steps, KvMaintenanceState Before, KvMaintenanceState After);
