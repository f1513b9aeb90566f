using System.Text.RegularExpressions;
using Kv.Connections;
using Kv.Diagnostics;
using Kv.Schema;
using Kv.Store;
using Microsoft.Extensions.Logging;

namespace Kv.Setup;

/// <summary>Keeps the stores that are rented, and those that were until a while ago.</summary>
/// <param name="create">Makes the store of a name.</param>
/// <param name="options">How many, and for how long.</param>
/// <param name="time">The clock of idle times and waits.</param>
/// <param name="logger">Where to say what no caller hears of.</param>
internal sealed partial class KvStoreFactory(Func<string, KvStore> create, KvStoreFactoryOptions options, TimeProvider time, ILogger logger)
    : IKvStoreFactory, IAsyncDisposable, IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Slot> _slots = new(StringComparer.Ordinal);
    private readonly ILogger _logger = new UnfailingLogger(logger);
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ITimer? _timer;
    private bool _disposed;

    /// <summary>How many stores are open, or being opened.</summary>
    public int Open
    {
        get
        {
            lock (_gate)
            {
                return _slots.Count;
            }
        }
    }

    public async ValueTask<KvStoreLease> RentAsync(string name, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (!Name().IsMatch(name))
        {
            throw new ArgumentException(
                $"The name of a store is '{name}'; it must be 1 to 100 letters, digits, hyphens, underscores and dots of ASCII, and not "
                + "begin with a dot, so that it can be part of a file's name.",
                nameof(name));
        }

        cancellationToken.ThrowIfCancellationRequested();
        var startedAt = time.GetTimestamp();
        while (true)
        {
            Task changed;
            Slot? slot, evicted;
            lock (_gate)
            {
                ObjectDisposedException.ThrowIf(_disposed, this);
                (slot, evicted) = Take(name);
                changed = _changed.Task;
            }

            if (evicted is not null)
            {
                await CloseAsync(evicted).ConfigureAwait(false);
            }

            if (slot is not null)
            {
                return await OpenAsync(slot, cancellationToken).ConfigureAwait(false);
            }

            await WaitAsync(name, changed, options.RentTimeout - time.GetElapsedTime(startedAt), cancellationToken).ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        List<Slot> open;
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            open = [.. _slots.Values];
            _slots.Clear();
            _timer?.Dispose();
            _changed.TrySetResult();
        }

        await Task.WhenAll(open.Select(CloseAsync)).ConfigureAwait(false);
    }

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    /// <summary>Takes the slot of a name, or a free one, or that of the store whose last lease ended first.</summary>
    /// <returns>The slot, null if all are rented; and the store that makes way.</returns>
    private (Slot? Slot, Slot? Evicted) Take(string name)
    {
        if (_slots.TryGetValue(name, out var slot) && !slot.HasFailed)
        {
            slot.Leases++;
            return (slot, null);
        }

        // One that did not open has nothing to close, and is tried anew.
        _slots.Remove(name);
        Slot? evicted = null;
        if (_slots.Count >= options.MaxOpen)
        {
            evicted = _slots.Values.Where(static s => s.Leases == 0).MinBy(static s => s.IdleSince);
            if (evicted is null)
            {
                return (null, null);
            }

            _slots.Remove(evicted.Name);
        }

        _slots[name] = slot = new Slot(name) { Leases = 1 };
        slot.Opening = new Lazy<Task<KvStore>>(() => OpenAsync(name));
        return (slot, evicted);
    }

    private async Task<KvStoreLease> OpenAsync(Slot slot, CancellationToken cancellationToken)
    {
        try
        {
            var store = await slot.Opening.Value.WaitAsync(cancellationToken).ConfigureAwait(false);
            return new KvStoreLease(slot.Name, store, () => Return(slot));
        }
        catch
        {
            Return(slot);
            throw;
        }
    }

    // The first caller opens the store for all callers: nothing of its own goes along.
    private Task<KvStore> OpenAsync(string name) => Detached.RunAsync(async () =>
    {
        var store = create(name);
        try
        {
            if (options.Migrate)
            {
                var context = store.Engine.CreateContext();
                await using (context.ConfigureAwait(false))
                {
                    var migrator = new Migrator(context, store.Engine.Driver, store.Engine.Options.CommandTimeout, _logger);
                    await migrator.MigrateAsync(CancellationToken.None).ConfigureAwait(false);
                }
            }

            await store.Engine.OpenAsync(CancellationToken.None).ConfigureAwait(false);
            return store;
        }
        catch
        {
            await store.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    });

    private void Return(Slot slot)
    {
        lock (_gate)
        {
            slot.Leases--;
            slot.IdleSince = time.GetTimestamp();

            // A store that could not be opened takes no other store's place.
            if (slot.HasFailed && _slots.GetValueOrDefault(slot.Name) == slot)
            {
                _slots.Remove(slot.Name);
            }

            if (_disposed || slot.Leases > 0)
            {
                return;
            }

            _changed.TrySetResult();
            _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _timer ??= NewTimer(options.IdleTimeout);
        }
    }

    // Time goes on between two looks at the clock.
    private ITimer NewTimer(TimeSpan due) => time.CreateTimer(
        static of => ((KvStoreFactory)of!).CloseIdle(), this, due > TimeSpan.Zero ? due : TimeSpan.Zero, Timeout.InfiniteTimeSpan);

    private void CloseIdle()
    {
        List<Slot> idle;
        lock (_gate)
        {
            if (_disposed)
            {
                return;
            }

            idle = [.. _slots.Values.Where(s => s.Leases == 0 && time.GetElapsedTime(s.IdleSince) >= options.IdleTimeout)];
            idle.ForEach(slot => _slots.Remove(slot.Name));
            _timer?.Dispose();
            var next = _slots.Values.Where(static s => s.Leases == 0).MinBy(static s => s.IdleSince);
            _timer = next is null ? null : NewTimer(options.IdleTimeout - time.GetElapsedTime(next.IdleSince));
        }

        foreach (var slot in idle)
        {
            Detached.RunAsync(() => CloseAsync(slot)).Abandon();
        }
    }

    private async Task CloseAsync(Slot slot)
    {
        try
        {
            if (slot.Opening.IsValueCreated)
            {
                var store = await slot.Opening.Value.ConfigureAwait(false);
                await store.DisposeAsync().ConfigureAwait(false);
            }
        }
        catch (Exception error)
        {
            // Its callers got the error of an opening; a store that does not close must not keep other callers from theirs.
            KvLog.StoreNotClosed(_logger, error, slot.Name);
        }
    }

    private async Task WaitAsync(string name, Task changed, TimeSpan left, CancellationToken cancellationToken)
    {
        try
        {
            await changed.WaitAsync(left > TimeSpan.Zero ? left : TimeSpan.Zero, time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new KvException(
                KvErrorKind.Unavailable,
                $"The store '{name}' was not opened: {options.MaxOpen} stores have been rented for {options.RentTimeout.TotalSeconds:0.#} "
                + "seconds, and no more may be open. Dispose of leases sooner, or raise KvStoreFactoryOptions.MaxOpen.");
        }
    }

    [GeneratedRegex("^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\\z", RegexOptions.CultureInvariant)]
    private static partial Regex Name();

    private sealed class Slot(string name)
    {
        public string Name { get; } = name;

        public Lazy<Task<KvStore>> Opening { get; set; } = null!;

        public bool HasFailed => Opening is { IsValueCreated: true, Value: { IsCompleted: true, IsCompletedSuccessfully: false } };

        public int Leases { get; set; }

        public long IdleSince { get; set; }
    }
}
