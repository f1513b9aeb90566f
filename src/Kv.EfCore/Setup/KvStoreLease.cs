using Kv.Control;
using Kv.Store;

namespace Kv;

/// <summary>A store of an <see cref="IKvStoreFactory"/>, for as long as the lease is not disposed of.</summary>
public sealed class KvStoreLease : IDisposable, IAsyncDisposable
{
    private readonly KvStore _store;
    private Action? _giveBack;

    internal KvStoreLease(string name, KvStore store, Action giveBack) => (Name, _store, _giveBack) = (name, store, giveBack);

    /// <summary>The name of the store.</summary>
    public string Name { get; }

    /// <summary>The store.</summary>
    /// <exception cref="ObjectDisposedException">The lease was given back, and others may close the store.</exception>
    public IKvStore Store => Rented;

    /// <summary>The control of its queue.</summary>
    /// <exception cref="ObjectDisposedException">The lease was given back, and others may close the store.</exception>
    public IKvQueue Queue => new KvQueue(Rented);

    /// <summary>Its maintenance.</summary>
    /// <exception cref="ObjectDisposedException">The lease was given back, and others may close the store.</exception>
    public IKvMaintenance Maintenance => new KvMaintenance(Rented);

    /// <summary>The switch of its change feed.</summary>
    /// <exception cref="ObjectDisposedException">The lease was given back, and others may close the store.</exception>
    public IKvChanges Changes => new KvChanges(Rented);

    private KvStore Rented
    {
        get
        {
            ObjectDisposedException.ThrowIf(_giveBack is null, this);
            return _store;
        }
    }

    /// <summary>Gives the store back. It stays open for a while, for the next caller.</summary>
    public void Dispose() => Interlocked.Exchange(ref _giveBack, null)?.Invoke();

    /// <inheritdoc cref="Dispose" />
    public ValueTask DisposeAsync()
    {
        Dispose();
        return default;
    }
}
