namespace Kv;

/// <summary>Decides when a store maintains itself: <see cref="KvStoreOptions.Maintenance"/>.</summary>
public abstract class KvMaintenancePolicy
{
    /// <summary>A policy that is a function.</summary>
    /// <param name="shouldRun">Says of a state whether maintenance is to run.</param>
    public static KvMaintenancePolicy When(Func<KvMaintenanceState, bool> shouldRun)
    {
        ArgumentNullException.ThrowIfNull(shouldRun);
        return new FunctionPolicy(shouldRun);
    }

    /// <summary>A policy that runs first when it is asked first, and then when so much time has passed since the last run.</summary>
    /// <param name="interval">The time, more than zero. It is asked at <see cref="KvStoreOptions.MaintenanceInterval"/>.</param>
    public static KvMaintenancePolicy Every(TimeSpan interval)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(interval, TimeSpan.Zero);
        return new FunctionPolicy(state => state.SinceLastRun is not { } since || since >= interval);
    }

    /// <summary>Whether maintenance is to run now.</summary>
    /// <param name="state">How much there is to do. It was asked of the database just now.</param>
    public abstract bool ShouldRun(KvMaintenanceState state);

    private sealed class FunctionPolicy(Func<KvMaintenanceState, bool> shouldRun) : KvMaintenancePolicy
    {
        public override bool ShouldRun(KvMaintenanceState state) => shouldRun(state);
    }
}
