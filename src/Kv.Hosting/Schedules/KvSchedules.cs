using System.Runtime.CompilerServices;
using Kv.Changes;
using Kv.Store;

namespace Kv.Schedules;

/// <summary>Implements <see cref="IKvSchedules"/> over the entries of the store.</summary>
internal sealed class KvSchedules(KvStore store) : IKvSchedules
{
    private const int MostTriggers = 100;

    // What ticks and registrations add to an entry.
    private const int Reserve = 8192;
    private readonly ScheduleEntries _entries = new(store);

    private long Now => store.Engine.Clock.UtcNow.ToUnixTimeMilliseconds();

    public async ValueTask<bool> SetAsync<TMessage>(
        string name,
        KvSchedule schedule,
        TMessage message,
        KvScheduleOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(schedule);
        ArgumentNullException.ThrowIfNull(message);
        options ??= new KvScheduleOptions();
        ScheduledMessage.Validate(name, options);
        var builder = store.Build();
        builder.Enqueue(message, options.Enqueue);
        var made = builder.Messages[0] with { Trace = null };
        var before = await ChangeAsync(
            name,
            state =>
            {
                RefuseIfRegistered(name, state, "change it there, or give this one another name");
                var after = Begin(state ?? new ScheduleState("", 0), schedule) with
                {
                    Message = made,
                    Missed = options.Missed,
                    Registered = null,
                };
                var size = after.ToValue(KvEncoding.Json).Bytes.Length;
                return size <= store.Engine.Options.MaxValueSize - Reserve ? after : throw new ArgumentException(
                    $"The schedule '{name}' takes {size} bytes with its message; it must be at most "
                    + $"{store.Engine.Options.MaxValueSize - Reserve}, since it is kept in one entry. Store the large part under a key and "
                    + "send the key, or raise KvStoreOptions.MaxValueSize.",
                    nameof(message));
            },
            cancellationToken).ConfigureAwait(false);
        return before is null;
    }

    public async ValueTask<bool> ChangeAsync(string name, KvSchedule schedule, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(schedule);
        return await ChangeKnownAsync(
            name,
            state =>
            {
                RefuseIfRegistered(name, state, "change it there");
                return Begin(state, schedule);
            },
            cancellationToken).ConfigureAwait(false);
    }

    public ValueTask<bool> RemoveAsync(string name, CancellationToken cancellationToken = default) => ChangeKnownAsync(
        name,
        state =>
        {
            RefuseIfRegistered(name, state, "take it out there, or pause it here");
            return null;
        },
        cancellationToken);

    public ValueTask<bool> PauseAsync(string name, CancellationToken cancellationToken = default) =>
        ChangeKnownAsync(name, static state => state.Paused ? state : state with { Paused = true }, cancellationToken);

    public ValueTask<bool> ResumeAsync(string name, CancellationToken cancellationToken = default) => ChangeKnownAsync(
        name,
        state => state switch
        {
            { Paused: false } => state,
            { Timing: { } timing } => Begin(state with { Paused = false, Definition = "" }, KvSchedule.From(timing)),
            _ => state with { Paused = false },
        },
        cancellationToken);

    public ValueTask<bool> TriggerAsync(string name, CancellationToken cancellationToken = default) => ChangeKnownAsync(
        name,
        state => state.Triggered is { Length: >= MostTriggers }
            ? throw new InvalidOperationException(
                $"The schedule '{name}' was triggered {MostTriggers} times, and no worker that has it has enqueued a message since. "
                + "Start one, or look at its health check.")
            : state with { Triggered = [.. state.Triggered ?? [], Now] },
        cancellationToken);

    public async ValueTask<KvScheduleInfo?> FindAsync(string name, CancellationToken cancellationToken = default)
    {
        KvMessageAttribute.Valid(name, nameof(name));
        var (_, state) = await _entries.FindAsync(name, cancellationToken).ConfigureAwait(false);
        return state is null ? null : Info(name, state);
    }

    public async IAsyncEnumerable<KvScheduleInfo> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        await foreach (var (name, _, state) in _entries.ListAsync(cancellationToken).ConfigureAwait(false))
        {
            if (state is not null)
            {
                yield return Info(name, state);
            }
        }
    }

    private static KvScheduleInfo Info(string name, ScheduleState state) => new()
    {
        Name = name,
        Definition = state.Definition,
        NextAt = state.Paused ? null : At(state.Next),
        LastAt = state.Last > 0 ? At(state.Last) : null,
        IsPaused = state.Paused,
        Missed = state.Missed,
        MessageName = state.Message?.Type,
        Topic = state.Message?.Topic,
        Applications = [.. state.Registered?.Keys ?? Enumerable.Empty<string>()],
        PendingTriggers = state.Triggered?.Length ?? 0,
    };

    private static DateTimeOffset At(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);

    /// <summary>Where the times are others than before, the schedule begins with the next one.</summary>
    private ScheduleState Begin(ScheduleState state, KvSchedule schedule)
    {
        var definition = schedule.ToString();
        return state.Definition == definition ? state : state with
        {
            Definition = definition,
            Timing = schedule.ToTiming(),
            Next = schedule.NextAfter(At(Now)).ToUnixTimeMilliseconds(),
        };
    }

    private void RefuseIfRegistered(string name, ScheduleState? state, string remedy)
    {
        var now = Now;
        var lapse = ScheduleWatch.LapsesAfter.TotalMilliseconds;
        if (state is { Message: null, Registered: { } marks }
            && marks.Where(m => Math.Abs(now - m.Value) < lapse).Select(static m => m.Key).ToList() is { Count: > 0 } by)
        {
            throw new InvalidOperationException(
                $"The schedule '{name}' is in the code of the application '{string.Join("', '", by)}', which has run within the last "
                + $"{ScheduleWatch.LapsesAfter.TotalMinutes:0} minutes: {remedy}.");
        }
    }

    private async ValueTask<bool> ChangeKnownAsync(
        string name, Func<ScheduleState, ScheduleState?> change, CancellationToken cancellationToken) =>
        await ChangeAsync(name, state => state is null ? null : change(state), cancellationToken).ConfigureAwait(false) is not null;

    private async ValueTask<ScheduleState?> ChangeAsync(
        string name, Func<ScheduleState?, ScheduleState?> change, CancellationToken cancellationToken)
    {
        KvMessageAttribute.Valid(name, nameof(name));
        await store.RefreshTimeAsync(cancellationToken).ConfigureAwait(false);
        var isChanged = false;
        var before = await _entries.ChangeAsync(
            name,
            state =>
            {
                var after = change(state);
                isChanged = !ReferenceEquals(state, after);
                return isChanged && after is not null ? after.AsChanged() : after;
            },
            isTold: true,
            cancellationToken).ConfigureAwait(false);
        if (isChanged)
        {
            store.Engine.Signals.Wake(ChangeKinds.Schedules);
        }

        return before;
    }
}
