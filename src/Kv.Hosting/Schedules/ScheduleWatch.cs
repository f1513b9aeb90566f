using Kv.Diagnostics;
using Kv.Store;
using Microsoft.Extensions.Logging;

namespace Kv.Schedules;

/// <summary>What a look has found, by names.</summary>
/// <param name="Changed">Schedules that are to be looked at anew, or for the first time.</param>
/// <param name="Gone">Schedules that the store held, and holds no more.</param>
internal sealed record ScheduleChanges(IReadOnlyList<string> Changed, IReadOnlyList<string> Gone);

/// <summary>
/// Finds schedules that other calls and processes added, changed or removed; says now and then which ones this program has in its code;
/// and removes those that its application had in its code and has no more.
/// </summary>
/// <remarks>
/// A schedule is removed when the mark of its application has stood still for <see cref="LapsesAfter"/> in which one process looked:
/// whatever clocks say, and however long no process ran or all of them slept.
/// </remarks>
internal sealed class ScheduleWatch(KvStore store, ScheduleRegistry registry, string application, TimeProvider time, ILogger logger)
{
    /// <summary>How long a registration lasts that is not renewed.</summary>
    public static readonly TimeSpan LapsesAfter = TimeSpan.FromMinutes(10);

    /// <summary>How often a registration is renewed.</summary>
    public static readonly TimeSpan RenewsAfter = TimeSpan.FromMinutes(3);

    private readonly ScheduleEntries _entries = new(store);
    private readonly Dictionary<string, long> _known = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (long Mark, TimeSpan Watched, long LookedAt)> _lapsing = new(StringComparer.Ordinal);
    private KvVersionstamp? _seen;
    private long? _listedAt;

    /// <summary>Looks, if something was changed, or it is time to renew.</summary>
    /// <returns>What was found; null if nothing was looked for.</returns>
    public async ValueTask<ScheduleChanges?> LookAsync(CancellationToken cancellationToken)
    {
        var changes = await store.GetAsync(ScheduleEntries.Changes, cancellationToken).ConfigureAwait(false);
        if (_listedAt is { } at && changes?.Versionstamp == _seen && time.GetElapsedTime(at) < RenewsAfter)
        {
            return null;
        }

        var now = time.GetTimestamp();
        await store.RefreshTimeAsync(cancellationToken).ConfigureAwait(false);
        List<string> changed = [];
        HashSet<string> held = new(StringComparer.Ordinal), present = new(StringComparer.Ordinal);
        List<string> lapsed = [];
        await foreach (var (name, _, state) in _entries.ListAsync(cancellationToken).ConfigureAwait(false))
        {
            present.Add(name);
            var isOurs = registry.Find(name) is not null;
            if (state is null || (!isOurs && state.Message is null))
            {
                if (state is not null && IsLapsed(name, state, now))
                {
                    lapsed.Add(name);
                }

                continue;
            }

            held.Add(name);
            if (!_known.TryGetValue(name, out var known) || known != state.Changed)
            {
                changed.Add(name);
                _known[name] = state.Changed;
            }

            if (isOurs && IsStale(state))
            {
                await RenewAsync(name, cancellationToken).ConfigureAwait(false);
            }
        }

        // What is in the code and was deleted begins anew.
        changed.AddRange(registry.All.Select(static s => s.Name).Where(name => !present.Contains(name) && _known.Remove(name)));
        List<string> gone = [.. _known.Keys.Where(name => !held.Contains(name) && registry.Find(name) is null)];
        gone.ForEach(name => _known.Remove(name));
        foreach (var name in lapsed)
        {
            await RemoveAsync(name, cancellationToken).ConfigureAwait(false);
        }

        (_seen, _listedAt) = (changes?.Versionstamp, now);
        return new ScheduleChanges(changed, gone);
    }

    private bool IsStale(ScheduleState state) => state.Registered?.TryGetValue(application, out var mark) != true
        || Math.Abs(store.Engine.Clock.UtcNow.ToUnixTimeMilliseconds() - mark) >= RenewsAfter.TotalMilliseconds;

    private ValueTask<ScheduleState?> RenewAsync(string name, CancellationToken cancellationToken) => _entries.ChangeAsync(
        name,
        state => state is not null && IsStale(state)
            ? state.RegisteredBy(application, store.Engine.Clock.UtcNow.ToUnixTimeMilliseconds()) : state,
        isTold: false,
        cancellationToken);

    /// <summary>Whether the application's mark has stood still for long enough.</summary>
    private bool IsLapsed(string name, ScheduleState state, long now)
    {
        if (state.Registered?.TryGetValue(application, out var mark) != true)
        {
            _lapsing.Remove(name);
            return false;
        }

        if (!_lapsing.TryGetValue(name, out var watched) || watched.Mark != mark)
        {
            _lapsing[name] = (mark, TimeSpan.Zero, now);
            return false;
        }

        // After a gap the others get as long to renew it as ever.
        var since = time.GetElapsedTime(watched.LookedAt, now);
        watched = (mark, watched.Watched + (since < RenewsAfter ? since : RenewsAfter), now);
        _lapsing[name] = watched;
        return watched.Watched >= LapsesAfter;
    }

    /// <summary>Takes the application's mark away, and with the last one the schedule.</summary>
    private async ValueTask RemoveAsync(string name, CancellationToken cancellationToken)
    {
        var lapsed = _lapsing[name].Mark;
        var removed = false;
        await _entries.ChangeAsync(
            name,
            state =>
            {
                removed = false;
                if (state?.Registered is not { } marks || !marks.TryGetValue(application, out var mark) || mark != lapsed)
                {
                    return state;
                }

                var others = new SortedDictionary<string, long>(marks, StringComparer.Ordinal);
                others.Remove(application);
                removed = others.Count == 0 && state.Message is null;
                return removed ? null : state with { Registered = others };
            },
            isTold: false,
            cancellationToken).ConfigureAwait(false);
        _lapsing.Remove(name);
        if (removed)
        {
            WorkerLog.ScheduleRemoved(logger, name, application, LapsesAfter);
        }
    }
}
